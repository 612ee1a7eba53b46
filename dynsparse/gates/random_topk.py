"""k units at random: the control that every learned choice has to beat."""

import jax
import jax.numpy as jnp
from flax import nnx
from flax.errors import TraceContextError
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate


class RandomTopk(TopkGate):
    """Opens exactly round(density * n) units, drawn uniformly for every example.

    Those of infinite scores, such as a class token, come first; of other scores nothing
    matters. It learns nothing and stays random in evaluation;
    `nnx.reseed(model, gate=key)` before a call replays a draw.

    Args:
        density: Fraction of units to open, in [0, 1].
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    random = True

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Draws k units of the last axis."""
        n = scores.shape[-1]
        k = self.num_open(n)
        noise = jax.random.uniform(next_key(self.noise), scores.shape, jnp.float32)
        first = scores == jnp.inf
        mask = ops.hard_topk_mask(jnp.where(first, jnp.inf, noise), k)
        taken = first.sum(-1, keepdims=True)
        rest = jnp.clip((k - taken) / jnp.maximum(n - taken, 1), 0, 1)
        prob = jnp.where(first, jnp.minimum(1, k / jnp.maximum(taken, 1)), rest)
        return GateOutput(mask.astype(scores.dtype), prob.astype(scores.dtype))


def next_key(stream: nnx.RngStream) -> PRNGKeyArray:
    """The next key of a stream, for gates that draw in evaluation.

    A trace within another, such as a branch of compact execution, cannot count it: all
    branches draw with the same key, of which one runs.
    """
    try:
        return stream()
    except TraceContextError:
        return jax.random.fold_in(stream.key[...], stream.count[...])
