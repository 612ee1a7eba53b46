"""The precision that operators compute in."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def widened(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns `x` in float32, or in float64 where that is its type."""
    return x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
