"""SIMPLE: an exact sample of k units, with the gradient of the exact marginals."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate, initial_temperature


class Simple(TopkGate):
    """Opens exactly round(density * n) units, a sample of the k-subset distribution.

    Forward `ops.k_subset_sample` of the scores over the temperature, backward
    `ops.k_subset_marginals` (Ahmed, Zeng, Niepert and Van den Broeck, 2023,
    arXiv:2210.01941): biased, but exact for losses that are linear in the mask.
    `open_prob` is the marginal, exactly. In evaluation the highest scores open.

    O(n k) time and memory per row; O(n^2) in training, where the density may move.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Divides the scores, > 0.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def __init__(self, *, density: float, temperature: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        self.temperature = initial_temperature(temperature)
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        if self.deterministic:
            return self.hard_output(scores)
        k = self.counts(scores)
        logits = scores.astype(jnp.float32) / self.temperature[...]
        marginals = ops.k_subset_marginals(logits, k).astype(scores.dtype)
        sample = ops.k_subset_sample(self.noise(), logits, k).astype(scores.dtype)
        return GateOutput(ops.straight_through(sample, marginals), marginals)
