"""The precision that operators compute in."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def widened(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`x` in float32, or in float64 where that is the dtype of `x`.

    Example:
        >>> ops.widened(jnp.ones(2, jnp.bfloat16)).dtype
        dtype('float32')
    """
    return x.astype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
