"""Sparsemax gates: the support of the projection onto the simplex."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    Gate,
    GateOutput,
    deterministic_output,
    initial_temperature,
    positive,
)


class Sparsemax(Gate):
    """Opens the support of sparsemax: a number of units that the scores decide.

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

    def __init__(self, *, temperature: float, rngs: nnx.Rngs):
        self.temperature = initial_temperature(temperature)

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis."""
        first = scores == jnp.inf
        others = jnp.where(first, -jnp.inf, scores)
        probabilities = ops.sparsemax(others, self.temperature[...])
        opened = jnp.maximum(positive(probabilities), first.astype(scores.dtype))
        return deterministic_output(ops.straight_through(opened, probabilities))
