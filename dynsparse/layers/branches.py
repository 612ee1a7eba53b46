"""Branches of compact execution, whose hosts may hold gated layers of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from dynsparse import ops

# Of the branches that are being traced, the innermost last: who decided what there.
_ledgers: list[list[tuple[Any, Any]]] = []


def inside_branch() -> list[tuple[Any, Any]] | None:
    """Where a layer puts its decision while a branch is traced; None outside of one."""
    return _ledgers[-1] if _ledgers else None


@contextmanager
def ledger() -> Iterator[list[tuple[Any, Any]]]:
    """Within it, decisions are put into the list that it hands out."""
    decided: list[tuple[Any, Any]] = []
    _ledgers.append(decided)
    try:
        yield decided
    finally:
        _ledgers.pop()


def switch(
    count: Int[Array, ""],
    sizes: Sequence[int],
    branch: Callable[[int], Any],
    spread: Callable[[Any, int, Array], Array],
) -> Any:
    """`ops.capacity_switch` that hands out what was decided inside of the branches.

    A decision that is recorded within a branch has the branch's shape and dies with its
    trace. Here it is spread over all examples, closed where they were not computed, and
    recorded again behind the switch.

    Args:
        count: As in `ops.capacity_switch`.
        sizes: The same; the last branch computes everything.
        branch: The same.
        spread: `spread(layer, size, mask)` gives the mask that `layer` decided in the
            branch of `size` in the shape that it has for all examples.
    """
    layers: list[Any] = []

    def recorded(size: int):
        with ledger() as decided:
            output = branch(size)
        if not layers:
            layers.extend(layer for layer, _ in decided)
        part = lambda layer, decision: type(decision)(
            *(spread(layer, size, mask) for mask in decision)
        )
        return output, [part(layer, decision) for layer, decision in decided]

    result, everything = jax.eval_shape(lambda: recorded(sizes[-1]))

    def filled(size: int):
        output, decisions = recorded(size)
        if everything and not decisions:  # nothing ran: nothing was open
            zeros = lambda x: jnp.zeros(x.shape, x.dtype)
            decisions = jax.tree.map(zeros, everything)
        # Closed units have the dtype of the input, unless something ran beside them.
        return jax.tree.map(lambda x, y: x.astype(y.dtype), output, result), decisions

    output, decisions = ops.capacity_switch(count, sizes, filled)
    for layer, decision in zip(layers, decisions, strict=True):
        layer.record(decision)
    return output
