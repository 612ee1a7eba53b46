"""Infinite scores: `inf` comes first, and `-inf` forbids a unit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsparse.ops.precision import widened


def allowed(scores: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Which units may open: those whose score is neither `-inf` nor `nan`."""
    return scores > -jnp.inf


def num_allowed(scores: Float[Array, "*batch n"]) -> Int[Array, "*batch"]:
    """Units of each row that may open."""
    return allowed(scores).sum(-1, dtype=jnp.int32)


def without_infinities(scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Zeros, without a gradient, in the place of infinite scores."""
    return jnp.where(jnp.isinf(scores), 0, scores)


def finite(
    scores: Float[Array, "*batch n"], beyond: float | Float[Array, ""]
) -> Float[Array, "*batch n"]:
    """The scores in float32 at least, infinite ones at a distance beyond the others.

    For operators that subtract scores, where infinities would meet.

    Args:
        scores: Any may be infinite.
        beyond: The distance, > 0: where the operator decides as surely as it can.
    """
    x = widened(scores)
    known = jnp.isfinite(x)
    frozen = jax.lax.stop_gradient(x)
    high = jnp.where(known, frozen, -jnp.inf).max(-1, keepdims=True)
    low = jnp.where(known, frozen, jnp.inf).min(-1, keepdims=True)
    high, low = (jnp.where(jnp.isfinite(end), end, 0) for end in (high, low))
    x = jnp.where(x == jnp.inf, high + beyond, x)
    return jnp.where(x == -jnp.inf, low - beyond, x)


def levels(
    scores: Float[Array, "*batch n"],
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """The level of each unit: `inf`, 0 for a finite score, or `-inf`; and of each rank.

    The unit of rank i, counted from the highest score, has one of rank i's level:
    comparing the two says which units may take which rank.
    """
    units = jnp.where(jnp.isinf(scores), scores, 0)
    return units, -jnp.sort(-units, -1)
