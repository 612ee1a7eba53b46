"""What sums of masks and of probabilities can be divided by."""

import jax.numpy as jnp
from jaxtyping import Array, Float

LEAST = 1e-12


def divisor(total: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The total, or 1 where it is below 1e-12: nothing is left there to be shared.

    The derivative of x / y divides by y * y, which is 0 in float32 for y below 1e-19.

    Args:
        total: >= 0, a sum or mean of what is to be divided by it.
    """
    return jnp.where(total > LEAST, total, 1)
