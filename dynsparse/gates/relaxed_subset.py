"""Relaxed subset sampling behind a hard forward pass."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    GateOutput,
    TopkGate,
    deterministic_output,
    initial_temperature,
)


class RelaxedSubset(TopkGate):
    """Opens the round(density * n) highest of the scores plus Gumbel noise.

    The gradient is that of `ops.relaxed_subset_mask` under the same noise (Xie and
    Ermon, 2019, arXiv:1901.10517), whose entries may exceed 1, hence the hard forward
    pass. `open_prob` is the drawn mask. In evaluation the highest scores open.

    One softmax per unit in training, where the density may move: slow for many units.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Of the k softmaxes, > 0, in units of the scores.
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
        perturbed = ops.gumbel_perturb(self.noise(), scores)
        soft = ops.relaxed_subset_mask(None, perturbed, k, self.temperature[...])
        mask = ops.straight_through(ops.hard_topk_mask(perturbed, k), soft)
        return deterministic_output(mask.astype(scores.dtype))
