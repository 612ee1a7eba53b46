"""Infinite scores, in operators that subtract scores: they come first and last."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def without_infinities(scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Zeros, without a gradient, in the place of infinite scores."""
    return jnp.where(jnp.isinf(scores), 0, scores)


def levels(
    scores: Float[Array, "*batch n"],
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """The level of each unit: `inf`, 0 for a finite score, or `-inf`; and of each rank.

    The unit of rank i, counted from the highest score, has one of rank i's level:
    comparing the two says which units may take which rank.
    """
    units = jnp.where(jnp.isinf(scores), scores, 0)
    return units, -jnp.sort(-units, -1)
