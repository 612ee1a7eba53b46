"""Sparsemax gates: the support of the projection onto the simplex."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import TemperatureGate


class Sparsemax(TemperatureGate):
    """Gate that opens the support of sparsemax, as many units as the scores decide.

    The mask, and `open_prob`, are 1 where `ops.sparsemax` is above 0 (Martins and
    Astudillo, 2016, arXiv:1602.02068) with its gradient, which sums to zero over the
    units. At least one unit is open, beside those of infinite scores. The density
    follows the spread of the scores over the temperature.

    Differs from the paper: the mask is the support, not the probabilities, which would
    shrink every unit as more are open.

    Args:
        temperature: > 0, in units of the scores; the larger, the more units open.
        rngs: Unused: there is no noise.
    """

    count = "varying"
    competes = True

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis."""
        first = scores == jnp.inf
        others = jnp.where(first, -jnp.inf, scores)
        probabilities = ops.sparsemax(others, self.temperature[...])
        opened = jnp.maximum(ops.hard_step(probabilities), first.astype(scores.dtype))
        return deterministic_output(ops.straight_through(opened, probabilities))
