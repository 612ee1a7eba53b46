"""Products with a mask in which what is closed is nothing, even where it is not finite.

A plain product would carry it on: 0 * inf is nan.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


def drop_closed(
    values: Shaped[Array, "*#shape"], mask: Float[Array, "*#shape"]
) -> Shaped[Array, "*#shape"]:
    """Returns `values`, with zeros where they are closed and not finite.

    Closed values that are finite stay: straight-through gates learn from what a closed
    unit would have said.

    Args:
        values: Of the units.
        mask: Broadcasts against `values`; a unit is closed where it is 0.
    """
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return values
    return jnp.where((mask == 0) & ~jnp.isfinite(values), 0, values)


def weigh(
    values: Float[Array, "*#shape"], mask: Float[Array, "*#shape"]
) -> Float[Array, "*#shape"]:
    """Returns `values * mask`; zeros where the mask is 0, whatever the values are.

    Args:
        values: Of the units.
        mask: Broadcasts against `values`, in any dtype.
    """
    mask = mask.astype(values.dtype)  # first: a small one may round to 0
    return drop_closed(values, mask) * mask


def blend(
    mask: Float[Array, "*#shape"],
    opened: Float[Array, "*#shape"],
    closed: Float[Array, "*#shape"],
) -> Float[Array, "*#shape"]:
    """Returns `mask * opened + (1 - mask) * closed`; the side of weight 0 is nothing.

    Args:
        mask: In [0, 1]; broadcasts against both, in any dtype.
        opened: What open units have; its dtype is that of the weights.
        closed: What closed units have.
    """
    weight = mask.astype(opened.dtype)
    return weigh(opened, weight) + drop_closed(closed, 1 - weight) * (1 - weight)
