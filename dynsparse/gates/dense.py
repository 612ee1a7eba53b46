"""Every unit, always: the dense network through the same code path."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import Gate


class Dense(Gate):
    """Gate that opens every unit and reads no score, so that the scorer costs nothing.

    Args:
        rngs: Unused: there is no noise.
    """

    count = "full"

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens everything."""
        return deterministic_output(jnp.ones_like(scores))

    def static_count(self, n: int) -> int:
        """All of `n` units."""
        return n
