"""Sums of parts, each computed for the rows that open it and for no other."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.ops.compact import capacity_switch, open_indices


def sum_of_parts(
    rows: Any,
    mask: Float[Array, "n parts"],
    part: Callable[[int, Any], Array],
    start: Float[Array, "n *features"],
    sizes: Sequence[int],
) -> Float[Array, "n *features"]:
    r"""Sum $\mathrm{start}_r + \sum_p \mathrm{mask}_{rp}\, \mathrm{part}_p(r)$.

    Part by part, the rows that open it are gathered into the smallest capacity that
    holds them, computed together (they share the part's weights) and added back:
    exact for every mask, and at most one capacity step per part more work than the open
    pairs. Each part and capacity is a piece of program of its own.

    Args:
        rows: An array or a pytree of them, each [n, ...].
        mask: Weight of each part for each row; a pair is open where it is positive.
        part: `part(p, some_rows)` computes part `p` of gathered rows.
        start: Value of a row that opens no part.
        sizes: Capacities of each part, increasing; the last must hold the rows that
            open any part.

    Example:
        >>> x, mask = jnp.array([[1.0], [2.0]]), jnp.array([[1.0, 0.0], [1.0, 0.5]])
        >>> part = lambda p, rows: [10.0, 100.0][p] * rows
        >>> ops.sum_of_parts(x, mask, part, jnp.zeros((2, 1)), sizes=(0, 1, 2))
        Array([[ 10.],
               [120.]], dtype=float32)
    """
    output = jax.eval_shape(lambda rows: part(0, rows), rows)
    total = start.astype(jnp.promote_types(start.dtype, output.dtype))
    for p in range(mask.shape[1]):
        total = _add(total, rows, mask[:, p], lambda some, p=p: part(p, some), sizes)
    return total


def first_pairs(
    rows: Any,
    part: Callable[[int, Any], Array],
    start: Float[Array, "n *features"],
    num_parts: int,
    count: int,
) -> Float[Array, "n *features"]:
    """Sums as `sum_of_parts` the first pairs of row and part, whatever a mask opens.

    As many as asked for and no more, all rows of a part before the next part: what
    counts the cost of a number of open pairs.

    Args:
        rows: As in `sum_of_parts`.
        part: As in `sum_of_parts`.
        start: As in `sum_of_parts`.
        num_parts: Number of parts.
        count: Number of pairs.

    Example:
        >>> part = lambda p, rows: [10.0, 100.0][p] * rows
        >>> ops.first_pairs(jnp.ones((2, 1)), part, jnp.zeros((2, 1)), 2, count=3)
        Array([[110.],
               [ 10.]], dtype=float32)
    """
    total = start
    for p in range(num_parts):
        size = min(len(start), count)
        if size:
            some = jax.tree.map(lambda x, size=size: x[:size], rows)
            total = total.at[:size].add(part(p, some))
        count -= size
    return total


def _add(total, rows, weight, function, sizes):
    n = len(weight)
    indices = open_indices(weight, n)

    def compute(size: int):
        if size == 0:
            return total
        chosen = indices[:size]
        output = function(jax.tree.map(lambda x: x[chosen], rows))
        # Gathered back, not scattered: a closed row reads any other one, and drops it.
        slots = jnp.arange(size, dtype=jnp.int32)
        slot = jnp.zeros(n, jnp.int32).at[chosen].set(slots, unique_indices=True)
        scale = weight.reshape(-1, *[1] * (total.ndim - 1)).astype(total.dtype)
        return total + jnp.where(scale > 0, output[slot] * scale, 0)

    return capacity_switch((weight > 0).sum(), sizes, compute)
