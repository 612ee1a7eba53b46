"""Units at random, each by itself: the control of every gate of a varying count."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse._internal.ranges import check_density
from dynsparse.gates.base.decision import GateOutput
from dynsparse.gates.base.gate import Gate


class RandomBernoulli(Gate):
    """Control that opens each unit with probability `density`, for every example anew.

    Those of infinite scores, such as a class token, are open, and `-inf` forbids a
    unit; of other scores nothing matters. The gate learns nothing and stays random in
    evaluation; `nnx.reseed(model, gate=key)` before a call replays a draw.

    Args:
        density: Probability that a unit opens, in [0, 1].
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If `density` is out of range.
    """

    count = "varying"
    noisy = True
    random = True

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        check_density(density)
        self.density = density

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Draws units of the last axis."""
        first, allowed = scores == jnp.inf, ops.allowed(scores)
        drawn = jax.random.bernoulli(self.next_key(), self.density, scores.shape)
        opened = (drawn | first) & allowed
        prob = jnp.where(first, 1, jnp.where(allowed, self.density, 0))
        return GateOutput(opened.astype(scores.dtype), prob.astype(scores.dtype))
