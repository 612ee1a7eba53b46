"""Runs a host with all of its tokens weighed, or with the open ones alone."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.layers.trace.program.evaluate import Values, apply, read, run
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.program.program import Value
from dynsparse.layers.trace.rows.tokens import Tokens, reduced

Weights = Callable[[Value, int], Array]  # of the tokens along an axis of a value


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
        weights = _beside(mask, tokens.pieces(value, axis))
        if tokens.batch is None:
            return weights.reshape(_only(value, axis))
        (at,) = axes.holding(value, tokens.batch)
        shape = [1] * len(value.shape)
        shape[at], shape[axis] = weights.shape
        return (weights if at < axis else weights.T).reshape(shape)

    values = run(tokens.before, call.inputs(), axes, call.resized)
    _attend(tokens, values, along, call.resized)
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
    values = run(tokens.before, call.inputs(), axes, call.resized)
    outside, result = tokens.outside, tokens.trace.results[0]
    own: dict[Value, int] = {}  # with the axis of the examples
    if batch is not None:
        held = {value: axes.holding(value, batch) for value in outside}
        own = {value: at[0] for value, at in held.items() if at}
    alone = {value: read(values, value) for value in outside if value not in own}
    sizes = {tokens.factor: indices.shape[1]} | ({} if batch is None else {batch: 1})

    def example(indices: Array, mask: Array, arrays: Sequence[Array]) -> Array:
        def along(value: Value, axis: int) -> Array:
            weights = _beside(mask, tokens.pieces(value, axis, sizes))
            return weights.reshape(_only(value, axis))

        rows = zip(own.items(), arrays, strict=True)
        some: Values = alone | {v: jnp.expand_dims(x, at) for (v, at), x in rows}
        for value in outside:
            for axis in axes.holding(value, tokens.factor):
                before, count, behind = tokens.pieces(value, axis)
                others = jnp.arange(before), before + count + jnp.arange(behind)
                places = jnp.concatenate([others[0], before + indices, others[1]])
                some[value] = jnp.take(some[value], places, axis=axis, mode="clip")
        _attend(tokens, some, along, sizes)
        return read(some, result)[0]

    if batch is None:
        return example(indices[0], mask[0], [])[None]
    arrays = [read(values, value) for value in own]
    over = (0, 0, list(own.values()))
    return jax.vmap(example, in_axes=over)(indices, mask, arrays)


def _beside(mask: Array, pieces: list[int]) -> Array:
    """Weights of tokens and of what stands beside them, which is open."""
    before, _, behind = pieces
    widths = [*[(0, 0)] * (mask.ndim - 1), (before, behind)]
    return jnp.pad(mask, widths, constant_values=1)


def _only(value: Value, axis: int) -> list[int]:
    """Shape of a vector along one axis of a value."""
    return [-1 if i == axis else 1 for i in range(len(value.shape))]


def _attend(tokens: Tokens, values: Values, along: Weights, sizes: dict[int, int]):
    """Runs the steps that have tokens; what sums over tokens leaves closed ones out."""
    for step in tokens.moving:
        arrays = [read(values, value) for value in step.inputs]
        operand, over = reduced(tokens, step)
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
