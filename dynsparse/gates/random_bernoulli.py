"""Units at random, each by itself: the control of every gate of a varying count."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates.base import DensityGate, GateOutput


class RandomBernoulli(DensityGate):
    """Opens each unit with probability `density`, for every example anew.

    It learns nothing and stays random in evaluation; `nnx.reseed(model, gate=key)`
    before a call replays a draw.

    Args:
        density: Probability that a unit opens, in [0, 1].
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    count = "varying"

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Draws units of the last axis; only the shape of `scores` matters."""
        density = self.static_density
        density = self.density[...] if density is None else jnp.float32(density)
        opened = jax.random.bernoulli(self.noise(), density, scores.shape)
        prob = jnp.broadcast_to(density.astype(scores.dtype), scores.shape)
        return GateOutput(opened.astype(scores.dtype), prob)
