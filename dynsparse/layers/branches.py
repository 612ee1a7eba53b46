"""Branches of compact execution, whose hosts may hold gated layers of their own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from dynsparse import ops

Ledger = list[tuple[Any, Any]]  # layers and what they decided
Spread = Callable[[Any, int, Array], Array]

_innermost: ContextVar[Ledger | None] = ContextVar("ledger", default=None)


def inside_branch() -> Ledger | None:
    """Where a layer puts its decision while a branch is traced; None outside of one."""
    return _innermost.get()


@contextmanager
def ledger() -> Iterator[Ledger]:
    """Within it, decisions are put into the list that it hands out."""
    decided: Ledger = []
    token = _innermost.set(decided)
    try:
        yield decided
    finally:
        _innermost.reset(token)


def shapes(host: Any, *inputs: Any) -> tuple[Any, Ledger]:
    """Shapes and types of what `host` returns, and of what is decided inside of it.

    Args:
        host: It is traced, not run.
        *inputs: Its arguments.
    """
    layers: list[Any] = []

    def trace(*inputs: Any):
        with ledger() as decided:
            output = host(*inputs)
        layers.extend(layer for layer, _ in decided)
        return output, [decision for _, decision in decided]

    output, decisions = jax.eval_shape(trace, *inputs)
    return output, list(zip(layers, decisions, strict=True))


def zeros(shapes: Any) -> Any:
    """Decisions that open nothing."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


def run(size: int, branch: Callable[[int], Any], spread: Spread) -> tuple[Any, Ledger]:
    """Returns `branch(size)`, and what was decided in it as it is for all examples.

    Args:
        size: Static: how many are computed.
        branch: Computes them.
        spread: As in `switch`.
    """
    with ledger() as decided:
        output = branch(size)
    whole = lambda layer, decision: type(decision)(
        *(spread(layer, size, mask) for mask in decision)
    )
    return output, [(layer, whole(layer, decision)) for layer, decision in decided]


def switch(
    count: Int[Array, ""],
    sizes: Sequence[int],
    branch: Callable[[int], Any],
    spread: Spread,
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
        output, decided = run(size, branch, spread)
        if not layers:
            layers.extend(layer for layer, _ in decided)
        return output, [decision for _, decision in decided]

    result, everything = jax.eval_shape(lambda: recorded(sizes[-1]))

    def filled(size: int):
        output, decisions = recorded(size)
        if everything and not decisions:  # nothing ran: nothing was open
            decisions = zeros(everything)
        # Closed units have the dtype of the input, unless something ran beside them.
        return jax.tree.map(lambda x, y: x.astype(y.dtype), output, result), decisions

    output, decisions = ops.capacity_switch(count, sizes, filled)
    for layer, decision in zip(layers, decisions, strict=True):
        layer.record(decision)
    return output
