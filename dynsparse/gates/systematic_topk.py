"""Soft top-k rounded at random: exactly k open, each as often as its soft mask says."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate, initial_temperature


class SystematicTopk(TopkGate):
    """Opens exactly round(density * n) units, drawn with the soft mask as probability.

    Forward `ops.systematic_round` of `ops.soft_topk_mask` (Madow, 1949), backward the
    soft mask: unbiased for losses that are linear in the mask, and it explores, which a
    deterministic top-k does not. `open_prob` is the soft mask, exactly. In evaluation
    the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores: the higher,
            the more units share the k places.
        family: Member of the threshold family, a name of `ops.FAMILIES`.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If a value is out of range or `family` unknown.
    """

    def __init__(
        self, *, density: float, temperature: float, family: str, rngs: nnx.Rngs
    ):
        super().__init__(density=density)
        self.temperature = initial_temperature(temperature)
        ops.find_family(family)
        self.family = family
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        if self.deterministic:
            return self.hard_output(scores)
        k = self.counts(scores)
        wide = scores.astype(jnp.float32)  # a rounded soft mask sums to no k
        soft = ops.soft_topk_mask(wide, k, self.temperature[...], family=self.family)
        hard = ops.systematic_round(self.noise(), soft)
        mask = ops.straight_through(hard, soft)
        return GateOutput(mask.astype(scores.dtype), soft.astype(scores.dtype))
