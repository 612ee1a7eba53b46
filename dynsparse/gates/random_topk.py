"""k units at random: the control that every learned choice has to beat."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate


class RandomTopk(TopkGate):
    """Opens exactly round(density * n) units, drawn uniformly for every example.

    It learns nothing and stays random in evaluation; `nnx.reseed(model, gate=key)`
    before a call replays a draw.

    Args:
        density: Fraction of units to open, in [0, 1].
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    random = True

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Draws k units of the last axis; only the shape of `scores` matters."""
        n = scores.shape[-1]
        k = self.num_open(n)
        noise = jax.random.uniform(self.noise(), scores.shape, jnp.float32)
        mask = ops.hard_topk_mask(noise, k).astype(scores.dtype)
        return GateOutput(mask, jnp.full_like(scores, k / n))
