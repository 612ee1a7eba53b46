"""Infinite scores: `inf` comes first, and `-inf` forbids a unit."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from dynsparse.ops.precision import widened


def allowed(scores: Float[Array, "*shape"]) -> Bool[Array, "*shape"]:
    """Units that may open: True where a score is neither `-inf` nor `nan`.

    Example:
        >>> ops.allowed(jnp.array([0.3, jnp.inf, -jnp.inf, jnp.nan]))
        Array([ True,  True, False, False], dtype=bool)
    """
    return scores > -jnp.inf


def num_allowed(scores: Float[Array, "*batch n"]) -> Int[Array, "*batch"]:
    """Number of units of each row that may open.

    Example:
        >>> ops.num_allowed(jnp.array([[0.3, -jnp.inf], [0.3, 0.1]]))
        Array([1, 2], dtype=int32)
    """
    return allowed(scores).sum(-1, dtype=jnp.int32)


def without_infinities(scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """The scores, with zeros of no gradient in the place of infinite ones."""
    return jnp.where(jnp.isinf(scores), 0, scores)


def finite(
    scores: Float[Array, "*batch n"], beyond: float | Float[Array, ""]
) -> Float[Array, "*batch n"]:
    """The scores in float32 at least, infinite ones at a distance beyond the others.

    For operators that subtract scores, where infinities would meet.

    Args:
        scores: Any may be infinite.
        beyond: The distance, > 0, large enough that the operator's decision is sure.

    Example:
        >>> ops.finite(jnp.array([1.0, 3.0, jnp.inf, -jnp.inf]), 10.0)
        Array([ 1.,  3., 13., -9.], dtype=float32)
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
    """Levels of the units and of the ranks: `inf`, 0 for a finite score, or `-inf`.

    A unit of rank i, counted from the highest score, has the level of rank i: comparing
    the two says which units may take which rank.
    """
    units = jnp.where(jnp.isinf(scores), scores, 0)
    return units, -jnp.sort(-units, -1)
