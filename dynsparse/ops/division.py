"""Safe divisors for sums of masks and of probabilities."""

import jax.numpy as jnp
from jaxtyping import Array, Float

LEAST = 1e-12


def divisor(total: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Divisor `total`, or 1 where that is below 1e-12: there is nothing to be shared.

    The derivative of x / y divides by y * y, which is 0 in float32 for y below 1e-19.

    Args:
        total: >= 0, a sum or mean of the numerators.

    Example:
        >>> jnp.array([0.0, 6.0]) / ops.divisor(jnp.array([0.0, 2.0]))
        Array([0., 3.], dtype=float32)
    """
    return jnp.where(total > LEAST, total, 1)
