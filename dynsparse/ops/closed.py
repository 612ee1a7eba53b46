"""Products with a mask that give 0 for closed units even where values are not finite.

A plain product would give nan: 0 * inf is nan.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped


def drop_closed(
    values: Shaped[Array, "*#shape"], mask: Float[Array, "*#shape"]
) -> Shaped[Array, "*#shape"]:
    """`values`, with zeros where they are closed and not finite.

    Closed values that are finite stay: straight-through gates learn from what a closed
    unit would have said.

    Args:
        values: Values of the units.
        mask: Broadcasts against `values`; 0 closes a unit.

    Example:
        >>> ops.drop_closed(jnp.array([jnp.nan, 2.0, 3.0]), jnp.array([0.0, 0.0, 1.0]))
        Array([0., 2., 3.], dtype=float32)
    """
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return values
    return _finite_or_open(values, mask)


@functools.partial(jax.jit, inline=True)  # one program where it is called without jit
def _finite_or_open(values, mask):
    return jnp.where((mask == 0) & ~jnp.isfinite(values), 0, values)


def weigh(
    values: Float[Array, "*#shape"], mask: Float[Array, "*#shape"]
) -> Float[Array, "*#shape"]:
    """The product `values * mask`, 0 where the mask is 0, whatever the values are.

    Args:
        values: Values of the units.
        mask: Broadcasts against `values`, in any dtype.

    Example:
        >>> ops.weigh(jnp.array([jnp.inf, 2.0, 3.0]), jnp.array([0.0, 0.5, 1.0]))
        Array([0., 1., 3.], dtype=float32)
    """
    mask = mask.astype(values.dtype)  # first: a small one may round to 0
    return drop_closed(values, mask) * mask


def blend(
    mask: Float[Array, "*#shape"],
    opened: Float[Array, "*#shape"],
    closed: Float[Array, "*#shape"],
) -> Float[Array, "*#shape"]:
    """The blend `mask * opened + (1 - mask) * closed`; a side of weight 0 adds nothing.

    Args:
        mask: In [0, 1]; broadcasts against both, in any dtype.
        opened: Values of open units; the weights take their dtype.
        closed: Values of closed units.

    Example:
        >>> mask = jnp.array([0.0, 0.5, 1.0])
        >>> ops.blend(mask, opened=jnp.full(3, 8.0), closed=jnp.full(3, 2.0))
        Array([2., 5., 8.], dtype=float32)
    """
    weight = mask.astype(opened.dtype)
    return weigh(opened, weight) + drop_closed(closed, 1 - weight) * (1 - weight)
