"""Tokens of a host that attends: closed ones are left out wherever it sums."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.layers.trace.axes import NUMBERED
from dynsparse.layers.trace.evaluate import Values, apply, read, run
from dynsparse.layers.trace.host import HostCall, HostTrace
from dynsparse.layers.trace.program import Step, Value

Weights = Callable[[Value, int], Array]  # of the tokens along an axis of a value
_ALONG = {  # what may stand between a sum and the division by it
    *("add", "broadcast_in_dim", "convert_element_type", "reshape", "select_n"),
    *("eq", "ge", "gt", "le", "lt", "max", "ne"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of a host, and the steps of its program that have them.

    What depends on no argument with tokens (places, masks and tables made inside) is
    computed whole, and goes with its tokens.

    Attributes:
        trace: The host's call.
        batch: Factor of the examples; None where there is one example.
        factor: Factor of the tokens.
        before: Steps that depend on no tokens.
        moving: Steps that do.
    """

    trace: HostTrace
    batch: int | None
    factor: int
    before: tuple[Step, ...]
    moving: tuple[Step, ...]

    @property
    def outside(self) -> list[Value]:
        """Values that the moving steps read and do not make."""
        made = {value for step in self.moving for value in step.outputs}
        given = dict.fromkeys(value for step in self.moving for value in step.inputs)
        return [value for value in given if value not in made]


@functools.lru_cache(maxsize=1 << 8)
def find_tokens(trace: HostTrace) -> Tokens:
    """Finds the tokens of a host: the second axis of its input.

    Args:
        trace: A call with two tokens or more.

    Raises:
        ValueError: If the host mixes tokens otherwise than by attention, with the
            reason, or returns more than one array.
    """
    axes = trace.axes
    factors = [axes.classes.factors(axis) for axis in axes.of(trace.stream)[:2]]
    sizes = [axes.classes.size(axis) for axis in axes.of(trace.stream)[:2]]
    if len(trace.stream.shape) != 3 or sizes[1] < 2:
        raise ValueError(
            f"its input has the shape {list(trace.stream.shape)}; tokens are told from "
            f"[batch, tokens, width] with two tokens or more"
        )
    if any(len(own) != 1 for own in factors):
        raise ValueError("the tokens are split into several axes")
    (factor,) = factors[1]
    batch = factors[0][0] if sizes[0] > 1 else None
    known = {v for v in trace.arguments if axes.holding(v, factor)}
    moving = []
    for step in trace.program.steps:
        if any(value in known for value in step.inputs):
            moving.append(step)
            known.update(step.outputs)
    before = [step for step in trace.program.steps if step not in set(moving)]
    shapes = [value.shape for value in trace.results]
    if len(shapes) != 1 or shapes[0] != trace.stream.shape:
        texts = [list(shape) for shape in shapes]
        raise ValueError(
            f"tokens bypass hosts that give one array of their input's shape, "
            f"{list(trace.stream.shape)}; it gives {texts}"
        )
    tokens = Tokens(trace, batch, factor, tuple(before), tuple(moving))
    _check_mixing(tokens)
    return tokens


def _check_mixing(tokens: Tokens):
    """Raises a ValueError if tokens are mixed otherwise than by attention."""
    trace, axes = tokens.trace, tokens.trace.axes
    if trace.changed:
        raise ValueError("it changes its own state")
    if axes.classes.segments(tokens.factor) is not None:
        raise ValueError("the tokens are cut into segments")
    steps = {axes.step_of(step): step for step in tokens.moving}
    for lock in axes.classes.locks(tokens.factor):
        step = steps.get(lock.step)
        if step is None or lock.reason == NUMBERED or step.name == "reduce_max":
            continue  # places go with their tokens
        softmax = step.name == "reduce_sum"
        if not softmax or not _divides(step.outputs[0], tokens.moving):
            raise ValueError(f"tokens are mixed by other means ({lock.reason})")
    for lock in () if tokens.batch is None else axes.classes.locks(tokens.batch):
        if lock.step in steps:
            raise ValueError(f"examples depend on each other ({lock.reason})")
    outside = tokens.outside
    for step in tokens.moving:
        if any(value in outside for value in summed_over(tokens, step)):
            raise ValueError("tokens are mixed by parameters or places")
        if step.bodies and axes.any_holding(step.inputs, tokens.factor):
            for body in step.bodies:
                if any(inner.name in ("dot_general", "scan") for inner in body.steps):
                    raise ValueError(f"{step.name} may mix tokens")
    for value in outside:
        for factor in {tokens.batch, tokens.factor} - {None}:
            for i in axes.holding(value, factor):
                if axes.classes.factors(axes.of(value)[i]) != (factor,):
                    raise ValueError("the tokens are joined with another axis")


def summed_over(tokens: Tokens, step: Step) -> list[Value]:
    """Returns operands of a product that sums over tokens."""
    if step.name != "dot_general":
        return []
    contracted, _ = step.params["dimension_numbers"]
    return [
        value
        for value, own in zip(step.inputs, contracted, strict=True)
        if set(own) & set(tokens.trace.axes.holding(value, tokens.factor))
    ]


def _divides(value: Value, steps: Sequence[Step]) -> bool:
    """Whether a sum is the denominator of a softmax, and nothing else."""
    readers = [step for step in steps if value in step.inputs]
    return bool(readers) and all(
        (step.name == "div" and step.inputs[1] is value and step.inputs[0] is not value)
        or (step.name in _ALONG and _divides(step.outputs[0], steps))
        for step in readers
    )


def run_tokens(
    call: HostCall, tokens: Tokens, mask: Float[Array, "batch n"]
) -> Float[Array, "batch n width"]:
    """Runs a host on all tokens; closed ones are left out of what the others read.

    Args:
        call: The call.
        tokens: Its tokens.
        mask: Weighs the tokens.
    """
    axes = tokens.trace.axes

    def along(value: Value, axis: int) -> Array:
        if tokens.batch is None:
            return mask.reshape(_only(value, axis))
        (at,) = axes.holding(value, tokens.batch)
        shape = [1] * len(value.shape)
        shape[at], shape[axis] = mask.shape
        return (mask if at < axis else mask.T).reshape(shape)

    values = run(tokens.before, call.inputs(), axes)
    _attend(tokens, values, along, {})
    return read(values, tokens.trace.results[0])


def run_some_tokens(
    call: HostCall,
    tokens: Tokens,
    indices: Int[Array, "batch k"],
    mask: Float[Array, "batch k"],
) -> Float[Array, "batch k width"]:
    """Runs a host on some tokens of each example.

    Args:
        call: The call.
        tokens: Its tokens.
        indices: Which tokens, in order.
        mask: Weighs these tokens.
    """
    axes, batch = tokens.trace.axes, tokens.batch
    values = run(tokens.before, call.inputs(), axes)
    outside, result = tokens.outside, tokens.trace.results[0]
    own: dict[Value, int] = {}  # with the axis of the examples
    if batch is not None:
        held = {value: axes.holding(value, batch) for value in outside}
        own = {value: at[0] for value, at in held.items() if at}
    alone = {value: read(values, value) for value in outside if value not in own}
    sizes = {tokens.factor: indices.shape[1]} | ({} if batch is None else {batch: 1})

    def example(indices: Array, mask: Array, arrays: Sequence[Array]) -> Array:
        along = lambda value, axis: mask.reshape(_only(value, axis))
        rows = zip(own.items(), arrays, strict=True)
        some: Values = alone | {v: jnp.expand_dims(x, at) for (v, at), x in rows}
        for value in outside:
            for axis in axes.holding(value, tokens.factor):
                some[value] = jnp.take(some[value], indices, axis=axis, mode="clip")
        _attend(tokens, some, along, sizes)
        return read(some, result)[0]

    if batch is None:
        return example(indices[0], mask[0], [])[None]
    arrays = [read(values, value) for value in own]
    over = (0, 0, list(own.values()))
    return jax.vmap(example, in_axes=over)(indices, mask, arrays)


def _only(value: Value, axis: int) -> list[int]:
    """Shape of a vector along one axis of a value."""
    return [-1 if i == axis else 1 for i in range(len(value.shape))]


def _attend(tokens: Tokens, values: Values, along: Weights, sizes: dict[int, int]):
    """Runs the steps that have tokens; what sums over tokens leaves closed ones out."""
    for step in tokens.moving:
        arrays = [read(values, value) for value in step.inputs]
        operand, over = _reduced(tokens, step)
        if over is None:
            results = apply(step, arrays, tokens.trace.axes, sizes)
        elif step.name == "reduce_max":
            x, opened = arrays[0], along(step.inputs[0], over) > 0
            arrays[0] = jnp.where(opened, x, jnp.finfo(x.dtype).min)
            results = apply(step, arrays, tokens.trace.axes, sizes)
            # What is closed stays below, so that no exponential overflows.
            most = jnp.expand_dims(results[0], step.params["axes"])
            values[step.inputs[0]] = jnp.where(opened, x, jnp.minimum(x, most))
        else:
            weights = along(step.inputs[operand], over)
            arrays[operand] = ops.weigh(arrays[operand], weights)
            results = apply(step, arrays, tokens.trace.axes, sizes)
            if step.name == "reduce_sum":  # 0 where all that is read is closed
                results = [jnp.where(results[0] == 0, 1, results[0])]
        values.update(zip(step.outputs, results, strict=True))


def _reduced(tokens: Tokens, step: Step) -> tuple[int, int | None]:
    """The operand of a step to weigh, and its axis of tokens over which it runs."""
    axes, operand, over = tokens.trace.axes, 0, ()
    if step.name in ("reduce_max", "reduce_sum"):
        over = step.params["axes"]
    for value in summed_over(tokens, step):
        if tokens.batch is None or axes.holding(value, tokens.batch):
            operand = step.inputs.index(value)
            over = step.params["dimension_numbers"][0][operand]
    held = axes.holding(step.inputs[operand], tokens.factor) if over else []
    return operand, next((axis for axis in held if axis in over), None)
