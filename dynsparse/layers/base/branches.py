"""Hosts that run on a part of their input, and may hold gated layers of their own.

A decision made while such a host runs is about that part. The decision is put into a
ledger, spread over the whole input, closed where nothing ran, and then recorded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import get_opaque_trace_state
from jaxtyping import Array, Int

from dynsparse import ops

Ledger = list[tuple[Any, Any]]  # layers and their decisions
Open = tuple[Ledger, Any]  # a ledger, and the trace that it belongs to
Branch = Callable[[int], Any]
Spread = Callable[[Any, int, Array], Array]

_innermost: ContextVar[Open | None] = ContextVar("ledger", default=None)


def noted(layer: Any, decision: Any) -> bool:
    """Puts a decision into the ledger of the host around, if there is one.

    Args:
        layer: Decides inside of a host that may run on a part of its input.
        decision: About that part.

    Raises:
        ValueError: If the layer runs in a transformation inside of that host, such as
            `nnx.scan`, out of which the decision does not come.
    """
    if (found := _innermost.get()) is None:
        return False
    ledger, trace = found
    if trace != _trace():
        raise ValueError(
            f"{type(layer).__name__} (unit: {layer.unit}) decides inside of a "
            f"transformation (scan, vmap, checkpoint) of a host that runs on a part of "
            f"its input: gate one of the two."
        )
    ledger.append((layer, decision))
    return True


@contextmanager
def ledger() -> Iterator[Ledger]:
    """Context in which decisions are put into the list that it yields."""
    decided: Ledger = []
    token = _innermost.set((decided, _trace()))
    try:
        yield decided
    finally:
        _innermost.reset(token)


def output_shape(host: Callable[..., Any], *inputs: Any) -> Any:
    """Computes shapes and types of the host's output; runs and records nothing."""

    def run(*inputs: Any) -> Any:
        with ledger():
            return host(*inputs)

    return jax.eval_shape(run, *inputs)


def switch(
    count: Int[Array, ""], sizes: Sequence[int], branch: Branch, spread: Spread
) -> Any:
    """Runs `ops.capacity_switch` and records the decisions made inside its branches.

    Args:
        count: As in `ops.capacity_switch`.
        sizes: As in `ops.capacity_switch`; the last branch computes everything.
        branch: As in `ops.capacity_switch`.
        spread: `spread(layer, size, mask)` gives the mask that `layer` decided in the
            branch of `size` in the shape that it has for all examples.
    """
    layers, alike = _alike(sizes[-1], branch, spread)
    output, decisions = ops.capacity_switch(count, sizes, alike)
    return _recorded(output, layers, decisions)


def fixed(size: int, largest: int, branch: Branch, spread: Spread) -> Any:
    """Runs the branch of `switch` for a size that is known at compile time.

    Args:
        size: Size of the branch.
        largest: Size of the branch that computes everything.
        branch: As in `switch`.
        spread: As in `switch`.
    """
    if size == 0:  # shapes and types are those of the other branches
        layers, alike = _alike(largest, branch, spread)
        output, decisions = alike(size)
        return _recorded(output, layers, decisions)
    return _recorded(*_run(size, branch, spread))


def _trace() -> Any:
    return get_opaque_trace_state(convention="nnx")


def _alike(largest: int, branch: Branch, spread: Spread) -> tuple[list[Any], Branch]:
    """The layers inside, and branches of the same types with their decisions."""

    def run(size: int):
        output, layers, decisions = _run(size, branch, spread)
        found.append(layers)
        return output, decisions

    found: list[list[Any]] = []
    result, everything = jax.eval_shape(lambda: run(largest))
    layers = found[0]

    def alike(size: int):
        output, decisions = run(size)
        if layers and not decisions:  # nothing ran: nothing was open
            decisions = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), everything)
        # Closed units have the dtype of the input, unless something ran beside them.
        return jax.tree.map(lambda x, y: x.astype(y.dtype), output, result), decisions

    return layers, alike


def _run(size: int, branch: Branch, spread: Spread) -> tuple[Any, list[Any], list[Any]]:
    """The output of a branch, the layers inside, and their decisions, spread."""
    with ledger() as decided:
        output = branch(size)
    whole = lambda layer, decision: type(decision)(
        *(spread(layer, size, mask) for mask in decision)
    )
    layers = [layer for layer, _ in decided]
    return output, layers, [whole(layer, decision) for layer, decision in decided]


def _recorded(output: Any, layers: Sequence[Any], decisions: Sequence[Any]) -> Any:
    for layer, decision in zip(layers, decisions, strict=True):
        layer.record(decision)
    return output
