"""Every unit, always: the dense network through the same code path."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates.base import Gate, GateOutput


class Dense(Gate):
    """Opens every unit and reads no score, so that the scorer costs nothing.

    Args:
        rngs: Unused: there is no noise.
    """

    count = "full"

    def __init__(self, *, rngs: nnx.Rngs):
        del rngs

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens everything."""
        ones = jnp.ones_like(scores)
        return GateOutput(ones, ones)

    def static_count(self, n: int) -> int:
        """All of `n` units."""
        return n
