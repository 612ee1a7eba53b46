"""Static-shape skipping: gather the open units, compute them, scatter them back.

Two ways to keep shapes static under `jit`. Where the count is fixed, gather exactly k.
Where it varies, round it up to one of a few capacities and switch to the branch that
was compiled for that capacity; the surplus slots hold closed units, whose mask is 0.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

T = TypeVar("T")


def open_indices(
    mask: Float[Array, "*batch n"], size: int
) -> Int[Array, "*batch size"]:
    """Indices of the first `size` units, open ones first, each group in order.

    By counting: several times faster than a sort.

    Args:
        mask: Decision; a unit is open where it is positive.
        size: Number of indices, static, in [0, n].

    Example:
        >>> ops.open_indices(jnp.array([0.0, 1.0, 0.0, 1.0]), 3)
        Array([1, 3, 0], dtype=int32)
    """

    def row(opened):
        units = jnp.arange(len(opened), dtype=jnp.int32)
        before = jnp.cumsum(opened, dtype=jnp.int32)  # open units, up to each one
        place = jnp.where(opened, before - 1, before[-1] + units - before)
        return jnp.zeros_like(units).at[place].set(units, unique_indices=True)

    if 0 in mask.shape:
        return jnp.zeros((*mask.shape[:-1], size), jnp.int32)
    return jnp.vectorize(row, signature="(n)->(n)")(mask > 0)[..., :size]


def gather(
    units: Shaped[Array, "batch n *features"], indices: Int[Array, "batch size"]
) -> Shaped[Array, "batch size *features"]:
    """Units of each row at its `indices`.

    Example:
        >>> units, indices = jnp.array([[10.0, 20.0, 30.0]]), jnp.array([[2, 0]])
        >>> ops.gather(units, indices)
        Array([[30., 10.]], dtype=float32)
    """
    return jax.vmap(lambda row, index: row.at[index].get(mode="clip"))(units, indices)


def scatter(
    units: Shaped[Array, "batch size *features"],
    indices: Int[Array, "batch size"],
    into: Shaped[Array, "batch n *features"],
) -> Shaped[Array, "batch n *features"]:
    """`into`, with `units` written over the units at `indices`.

    The result has the dtype to which both promote.

    Example:
        >>> units, indices = jnp.array([[7.0, 8.0]]), jnp.array([[2, 0]])
        >>> ops.scatter(units, indices, into=jnp.zeros((1, 3)))
        Array([[8., 0., 7.]], dtype=float32)
    """
    into = into.astype(jnp.promote_types(into.dtype, units.dtype))
    write = lambda row, index, values: row.at[index].set(
        values, unique_indices=True, mode="drop"
    )
    return jax.vmap(write)(into, indices, units)


def capacities(size: int, steps: int = 8) -> tuple[int, ...]:
    """Increasing capacities from 0 to `size` in at most `steps` equal steps.

    Example:
        >>> ops.capacities(16, steps=4)
        (0, 4, 8, 12, 16)
    """
    return tuple(sorted({round(size * step / steps) for step in range(steps + 1)}))


def capacity_switch(
    count: Int[Array, ""], sizes: Sequence[int], branch: Callable[[int], T]
) -> T:
    """Runs `branch(size)` for the smallest of `sizes` that is at least `count`.

    Under `jit` every size is compiled and one is executed, so the result is exact for
    every count and costs at most one step of `sizes` more than the count asks for. A
    count that is known, as outside of `jit`, calls its one branch. Not for use under
    `vmap`, which would run every branch.

    Args:
        count: Number of open units, at most `sizes[-1]`.
        sizes: Increasing static capacities.
        branch: Called once per size while tracing; all return the same shapes.

    Example:
        >>> ops.capacity_switch(jnp.array(3), (0, 4, 8), lambda size: size)
        4
    """
    if not isinstance(count, jax.core.Tracer):
        return branch(sizes[int(np.searchsorted(sizes, int(count)))])
    fits = jnp.asarray(np.asarray(sizes, np.int32)) < count.astype(jnp.int32)
    return jax.lax.switch(fits.sum(), [lambda s=size: branch(s) for size in sizes])
