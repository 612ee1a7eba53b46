"""Units at random, each by itself: the control of every gate of a varying count."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import Gate, GateOutput, check_density
from dynsparse.gates.random_topk import next_key


class RandomBernoulli(Gate):
    """Opens each unit with probability `density`, for every example anew.

    Those of infinite scores, such as a class token, are open, and `-inf` forbids a
    unit; of other scores nothing matters. It learns nothing and stays random in
    evaluation; `nnx.reseed(model, gate=key)` before a call replays a draw.

    Args:
        density: Probability that a unit opens, in [0, 1].
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If `density` is out of range.
    """

    count = "varying"
    random = True

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        check_density(density)
        self.density = density
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Draws units of the last axis."""
        first = scores == jnp.inf
        drawn = jax.random.bernoulli(next_key(self.noise), self.density, scores.shape)
        opened = (drawn | first) & ops.allowed(scores)
        prob = jnp.where(first, 1, jnp.where(ops.allowed(scores), self.density, 0))
        return GateOutput(opened.astype(scores.dtype), prob.astype(scores.dtype))
