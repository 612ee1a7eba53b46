"""k units at random: the control that every learned choice has to beat."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput
from dynsparse.gates.base.topk import TopkGate


class RandomTopk(TopkGate):
    """Control that opens round(density * n) units, drawn uniformly for every example.

    Those of infinite scores, such as a class token, come first, and `-inf` forbids a
    unit; of other scores nothing matters. The gate learns nothing and stays random in
    evaluation; `nnx.reseed(model, gate=key)` before a call replays a draw.

    Args:
        density: Fraction of units to open, in [0, 1].
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    noisy = True
    random = True

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Draws k units of the last axis."""
        noise = jax.random.uniform(self.next_key(), scores.shape, jnp.float32)
        first, allowed = scores == jnp.inf, ops.allowed(scores)
        noise = jnp.where(allowed, jnp.where(first, jnp.inf, noise), -jnp.inf)
        counts = self.counts(scores)
        mask = ops.hard_topk_mask(noise, counts)
        k, taken, most = (
            count[..., None].astype(jnp.float32)
            for count in (counts, first.sum(-1), ops.num_allowed(scores))
        )
        rest = jnp.clip((k - taken) / jnp.maximum(most - taken, 1), 0, 1)
        prob = jnp.where(first, jnp.minimum(1, k / jnp.maximum(taken, 1)), rest)
        prob = jnp.where(allowed, prob, 0)
        return GateOutput(mask.astype(scores.dtype), prob.astype(scores.dtype))
