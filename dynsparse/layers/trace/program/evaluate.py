"""Runs a program again, also where some of its axes have become shorter."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import (
    ClosedJaxpr,
    Jaxpr,
    Literal,
    jaxpr_as_fun,
    jaxprs_in_params,
)

from dynsparse.layers.trace.axes.axes import Axes
from dynsparse.layers.trace.program.program import Program, Step, Value, scan_sizes

Values = dict[Value, Any]  # arrays by the value that they stand for
Sizes = Mapping[int, int]  # new lengths of factors


def read(values: Values, value: Value) -> Any:
    """Returns the array of a value that is known or was computed."""
    return values.get(value, value.known)


def run(
    steps: Iterable[Step], values: Values, axes: Axes, sizes: Sizes | None = None
) -> Values:
    """Runs steps in order.

    Args:
        steps: Each reads what was given or what a step before it gave.
        values: Arrays to start from; those of all steps are added.
        axes: Axes of the program.
        sizes: Factors whose length is not that of the trace. Steps that touch none of
            them run as they were traced, custom derivatives included.
    """
    for step in steps:
        arrays = [read(values, value) for value in step.inputs]
        results = apply(step, arrays, axes, sizes or {})
        values.update(zip(step.outputs, results, strict=True))
    return values


def shape_of(value: Value, axes: Axes, sizes: Sizes) -> tuple[int, ...]:
    """Computes the shape of a value, where some factors have another length."""
    return tuple(axes.classes.size(axis, dict(sizes)) for axis in axes.of(value))


def apply(step: Step, arrays: list[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    """Runs one step on these arrays.

    Args:
        step: Any step.
        arrays: What it reads.
        axes: As in `run`.
        sizes: As in `run`.
    """
    changed = sizes and any(
        shape_of(value, axes, sizes) != value.shape
        for value in (*step.inputs, *step.outputs)
    )
    if not changed:
        return _as_traced(step, arrays)
    if step.name == "sharding_constraint":  # of the whole array
        return arrays
    if step.bodies:
        return _RESIZED_CALLS[step.name](step, arrays, axes, sizes)
    primitive = step.equation.primitive
    given = primitive.bind(*arrays, **_resized(step, arrays, axes, sizes))
    return list(given) if primitive.multiple_results else [given]


def _as_traced(step: Step, arrays: list[Any]) -> list[Any]:
    """Runs an equation as it stands, custom derivatives included."""
    equation, primitive = step.equation, step.equation.primitive
    if not step.bodies and not any(True for _ in jaxprs_in_params(step.params)):
        with equation.ctx.manager:
            results = primitive.bind(*arrays, **step.params)
        return list(results) if primitive.multiple_results else [results]
    pairs = zip(equation.invars, arrays, strict=True)
    given = {atom: x for atom, x in pairs if not isinstance(atom, Literal)}
    jaxpr = Jaxpr(
        (),
        list(given),
        equation.outvars,
        [equation],
        equation.effects,
        debug_info=step.debug_info,
    )
    return list(jaxpr_as_fun(ClosedJaxpr(jaxpr, ()))(*given.values()))


def _resized(step: Step, arrays: list[Any], axes: Axes, sizes: Sizes) -> dict[str, Any]:
    """Parameters of a step for arrays that have become shorter."""
    params, name = dict(step.params), step.name
    new = lambda value: shape_of(value, axes, sizes)
    if name == "reshape":
        params["new_sizes"] = new(step.outputs[0])
    elif name in ("broadcast_in_dim", "iota"):
        params["shape"] = new(step.outputs[0])
    elif name == "tile":
        pairs = zip(new(step.outputs[0]), arrays[0].shape, strict=True)
        params["reps"] = tuple(total // size for total, size in pairs)
    elif name == "conv_general_dilated" and params["feature_group_count"] > 1:
        features = arrays[0].shape[params["dimension_numbers"].lhs_spec[1]]
        each = arrays[1].shape[params["dimension_numbers"].rhs_spec[1]]
        params["feature_group_count"] = features // each
    elif name == "slice":
        starts, ends = params["start_indices"], params["limit_indices"]
        strides = params["strides"] or [1] * len(starts)
        bounds = [
            _bounds(axes, axis, start, end, stride, sizes)
            for axis, start, end, stride in zip(
                axes.of(step.inputs[0]), starts, ends, strides, strict=True
            )
        ]
        params["start_indices"], params["limit_indices"] = zip(*bounds, strict=True)
    elif name == "split":
        along = params["axis"]
        params["sizes"] = tuple(new(value)[along] for value in step.outputs)
    elif name in ("gather", "dynamic_slice"):
        params["slice_sizes"] = tuple(
            arrays[0].shape[i] if size == step.inputs[0].shape[i] else size
            for i, size in enumerate(params["slice_sizes"])
        )
    return params


def _bounds(axes: Axes, axis: Any, start: int, end: int, stride: int, sizes: Sizes):
    """Start and end of a slice, where what lies before and in it has become shorter."""
    size = axes.classes.size(axis)
    if stride != 1:
        return start, end - size + axes.classes.size(axis, dict(sizes))
    places = sorted({0, start, end, size})
    pieces = axes.classes.cut(axis, places)
    lengths = [axes.classes.size(piece, dict(sizes)) for piece in pieces]
    count = places.index(start)
    return sum(lengths[:count]), sum(lengths[: places.index(end)])


def _body(body: Program, arrays: Iterable[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    values = dict(zip(body.inputs, arrays, strict=True))
    run(body.steps, values, axes, sizes)
    return [read(values, value) for value in body.outputs]


def _call(step: Step, arrays: list[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    return _body(step.bodies[0], arrays, axes, sizes)


def _scan(step: Step, arrays: list[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    fixed, carried = scan_sizes(step)
    constants, start = arrays[:fixed], arrays[fixed : fixed + carried]

    def body(carry, x):
        given = _body(step.bodies[0], [*constants, *carry, *x], axes, sizes)
        return given[:carried], given[carried:]

    params = {k: step.params[k] for k in ("length", "reverse", "unroll")}
    carry, rest = jax.lax.scan(body, start, arrays[fixed + carried :], **params)
    return [*carry, *rest]


def _while(step: Step, arrays: list[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    asked, used = step.params["cond_nconsts"], step.params["body_nconsts"]
    first, second = arrays[:asked], arrays[asked : asked + used]
    condition, body = step.bodies
    return jax.lax.while_loop(
        lambda carry: _body(condition, [*first, *carry], axes, sizes)[0],
        lambda carry: _body(body, [*second, *carry], axes, sizes),
        arrays[asked + used :],
    )


def _cond(step: Step, arrays: list[Any], axes: Axes, sizes: Sizes) -> list[Any]:
    index, *operands = arrays
    branches = [
        lambda *given, body=body: _body(body, given, axes, sizes)
        for body in step.bodies
    ]
    return jax.lax.switch(jnp.int32(index), branches, *operands)


_RESIZED_CALLS = {
    "custom_jvp_call": _call,
    "custom_vjp_call": _call,
    "scan": _scan,
    "while": _while,
    "cond": _cond,
}
