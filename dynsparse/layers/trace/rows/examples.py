"""Examples of a host: which axes of its arguments and results are the batch."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from dynsparse.layers.trace.axes.own_places import IN_PLACE
from dynsparse.layers.trace.program.host_call import HostTrace
from dynsparse.layers.trace.program.program import Program, Step, Value
from dynsparse.layers.trace.rows.rows import Rows

Closed = Literal["input", "zeros"]
_PRODUCTS = ("dot_general", "conv_general_dilated")
_MOVES = ("broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "transpose")
_MOVES += ("concatenate", "pad")  # beside others, such as registers


@dataclasses.dataclass(frozen=True)
class Batch:
    """Where the examples lie in one kind of call of a host.

    Attributes:
        arguments: Axis of the examples of each array that the host is called with, in
            the order of the call; None where it has none.
        results: The same of each array that the host returns.
        closed: Argument that each result of a closed example is; None for zeros.
        pure: Whether the call is known to leave the host's state as it was, random
            streams aside.
    """

    arguments: tuple[int | None, ...]
    results: tuple[int, ...]
    closed: tuple[int | None, ...]
    pure: bool = False


def find_batch(
    trace: HostTrace, arguments: Sequence[Value], closed: Closed | None
) -> Batch:
    """Finds the axes of the examples, and what closed ones give.

    The result that looks like the host's input is the stream: closed, it is the input
    where the host has a skip connection of its own, and zeros where the skip connection
    stands outside. Other results of a closed example are what the one argument of their
    shape and type was, such as a cache, or else zeros.

    Args:
        trace: A call with at least two examples.
        arguments: Arrays that the host is called with.
        closed: What a closed stream is; None where the trace tells.

    Raises:
        ValueError: If examples depend on each other, a result has no examples, or none
            looks like the input.
    """
    axes = trace.axes
    (factor,) = _first_factor(trace)
    for lock in axes.classes.locks(factor):
        if lock.reason == IN_PLACE:
            continue
        raise ValueError(
            f"examples depend on each other or on their number ({lock.reason})"
        )
    mixed = [
        step.name
        for step in trace.program.steps
        if axes.any_holding(step.inputs, factor)
        and not axes.any_holding(step.outputs, factor)
    ]
    if mixed:
        raise ValueError(f"examples depend on each other ({mixed[0]})")
    held = [v for v in trace.arguments if v not in arguments]
    if axes.any_holding(held, factor):
        raise ValueError("a module among its arguments holds examples")
    at = [_axis(trace, value, factor) for value in arguments]
    results = [_axis(trace, value, factor) for value in trace.results]
    if None in results:
        place = results.index(None)
        raise ValueError(
            f"result {place} of shape {trace.results[place].shape} has no examples"
        )
    streams = [i for i, v in enumerate(trace.results) if _alike(v, trace.stream)]
    if not streams:
        shapes = [list(value.shape) for value in trace.results]
        raise ValueError(
            f"it maps {list(trace.stream.shape)} to {shapes}: no result has the shape "
            f"and type of its input, which closed examples would be"
        )
    closed = closed or ("input" if skips(trace, streams[0]) else "zeros")
    like = [
        [
            j
            for j, other in enumerate(arguments)
            if _alike(value, other) and at[j] is not None
        ]
        for value in trace.results
    ]
    kept: list[int | None] = [own[0] if len(own) == 1 else None for own in like]
    kept[streams[0]] = arguments.index(trace.stream) if closed == "input" else None
    for other in streams[1:]:
        kept[other] = None
    axes_of = tuple(axis for axis in results if axis is not None)
    return Batch(tuple(at), axes_of, tuple(kept))


def check_skip(trace: HostTrace):
    """Refuses a host whose skip connection stands outside of it.

    Args:
        trace: Its call.

    Raises:
        ValueError: If the input is not added to what becomes the result.
    """
    if not any(skips(trace, i) for i in range(len(trace.results))):
        raise ValueError(
            "a closed unit passes its input on, but the module has no skip of its own; "
            "name the module around the skip."
        )


def _first_factor(trace: HostTrace) -> tuple[int]:
    found = Rows.leading(trace.axes, trace.stream, 1).factors
    if len(found) != 1:
        count = trace.stream.shape[0]
        raise ValueError(
            f"the batch cannot be told from an example with {count} of them: give two "
            f"or more"
            if count < 2
            else "the batch is split into several axes"
        )
    return (found[0],)


def _axis(trace: HostTrace, value: Value, factor: int) -> int | None:
    """The axis of the examples of a value; None where it has none."""
    axes, classes = trace.axes.holding(value, factor), trace.axes.classes
    if len(axes) > 1:
        raise ValueError("a value has the examples along two axes")
    if axes and classes.size(trace.axes.of(value)[axes[0]]) != classes.size((factor,)):
        raise ValueError(
            f"an array of shape {list(value.shape)} joins the examples with another "
            f"axis"
        )
    return axes[0] if axes else None


def _alike(value: Value, other: Value) -> bool:
    return value.shape == other.shape and value.dtype == other.dtype


def skips(trace: HostTrace, result: int) -> bool:
    """Whether the input is added to what becomes a result, with no product between."""
    made = {value: step for step in trace.program.steps for value in step.outputs}
    stack, seen = [trace.results[result]], set()
    while stack:
        value = stack.pop()
        step = made.get(value)
        if step is None or step in seen or step.name in _PRODUCTS:
            continue
        seen.add(step)
        if step.name in ("add", "sub") and any(
            _is_input(v, made, trace.stream) for v in step.inputs
        ):
            return True
        if any(_adds_inside(step, body, made, trace.stream) for body in step.bodies):
            return True
        stack += step.inputs
    return False


def _adds_inside(
    step: Step, body: Program, made: dict[Value, Step], stream: Value
) -> bool:
    """Whether a loop or a branch adds to the input that it is called with."""
    outside = step.inputs[len(step.inputs) - len(body.inputs) :]
    pairs = zip(body.inputs, outside, strict=True)
    own = [inner for inner, value in pairs if _is_input(value, made, stream)]
    sums = [inner for inner in body.steps if inner.name in ("add", "sub")]
    return any(value in own for inner in sums for value in inner.inputs)


def _is_input(value: Value, made: dict[Value, Step], stream: Value) -> bool:
    if value is stream:
        return True
    step = made.get(value)
    if step is None or step.name not in _MOVES:
        return False
    return any(_is_input(source, made, stream) for source in step.inputs)
