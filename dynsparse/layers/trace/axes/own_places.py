"""Indices that count the rows of what they read or write: each row its own place.

`x.at[jnp.arange(len(x)), chosen].set(values)` writes row by row: fewer rows are counted
anew, and give the same.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from dynsparse.layers.trace.program.program import Program, Step, Value

IN_PLACE = "it is read or written at its own places"

_KEPT = ("convert_element_type", "copy")


@dataclasses.dataclass(frozen=True)
class _Count:
    """A value that counts along an axis; or what is made of it on the way.

    Attributes:
        start: The step that counts, or the constant that does.
        axis: Axis of the value along which it counts.
        kind: "place", "negative" (whether a place is below 0) or "shifted".
    """

    start: Step | Value
    axis: int
    kind: str = "place"


_Column = _Count | None


@dataclasses.dataclass(frozen=True)
class OwnPlaces:
    """Where a program counts for no other end than to read or write in place.

    Attributes:
        counts: Steps and constants that count for nothing else.
        columns: Steps that read or write in place: for each column of their indices
            that counts, the axis of the indices along which it does.
    """

    counts: frozenset[Step | Value]
    columns: dict[Step, dict[int, int]]


def own_places(program: Program) -> OwnPlaces:
    """Finds where a program reads or writes each row at its own place.

    Args:
        program: Any program.
    """
    known: dict[Value, tuple[_Column, ...]] = {}
    used: set[Step | Value] = set()
    columns: dict[Step, dict[int, int]] = {}
    for step in program.steps:
        for value in step.inputs:
            counted = () if value in known else _constant(value)
            if counted:
                known[value] = counted
                used.add(value)
        given = [count for v in step.inputs for count in known.get(v, ()) if count]
        if step.name == "iota" and jnp.issubdtype(step.outputs[0].dtype, jnp.integer):
            known[step.outputs[0]] = (_Count(step, step.params["dimension"]),)
            used.add(step)
        elif given and (step.name.startswith("scatter") or step.name == "gather"):
            own = known.get(step.inputs[1], ())
            columns[step] = {i: c.axis for i, c in enumerate(own) if c is not None}
            for value in (step.inputs[0], *step.inputs[2:]):
                for count in filter(None, known.get(value, ())):
                    used.discard(count.start)
        elif given:
            passed = _passed(step, known)
            if passed is None:
                for count in given:
                    used.discard(count.start)
            else:
                known[step.outputs[0]] = passed
    for value in program.outputs:
        for count in filter(None, known.get(value, ())):
            used.discard(count.start)
    return OwnPlaces(frozenset(used), columns)


def _constant(value: Value) -> tuple[_Column, ...]:
    """What a constant counts in each of its columns, if some of them count."""
    integer = jnp.issubdtype(value.dtype, jnp.integer)
    if value.known is None or not value.shape or not integer:
        return ()
    array = np.asarray(jax.device_get(value.known))
    for columns in ([array], np.moveaxis(array, -1, 0) if array.ndim > 1 else []):
        axes = [_counted(column) for column in columns]
        alone = all(
            axis is not None or np.ptp(c) == 0
            for axis, c in zip(axes, columns, strict=True)
        )
        if alone and any(axis is not None for axis in axes):
            return tuple(None if axis is None else _Count(value, axis) for axis in axes)
    return ()


def _counted(array: np.ndarray) -> int | None:
    """The axis along which an array counts from 0; None where it does not."""
    for axis, size in enumerate(array.shape):
        places = np.arange(size).reshape(
            [-1 if i == axis else 1 for i in range(array.ndim)]
        )
        if size > 1 and (array == places).all():
            return axis
    return None


def _passed(
    step: Step, known: dict[Value, tuple[_Column, ...]]
) -> tuple[_Column, ...] | None:
    """What a step makes of values that count; None where it does something else."""
    value, (result,) = step.inputs[0], step.outputs[:1]
    first = known.get(value, (None,))[0]
    shape = result.shape
    if step.name == "concatenate" and step.params["dimension"] == len(shape) - 1:
        if all(v.shape[-1] == 1 and len(known.get(v, ())) < 2 for v in step.inputs):
            found = [known.get(v, (None,))[0] for v in step.inputs]
            return tuple(found)
        return None
    if first is None or len(known[value]) > 1:
        return None
    scalar = len(step.inputs) > 1 and not step.inputs[1].shape
    if step.name in _KEPT or (step.name == "reshape" and shape == (*value.shape, 1)):
        return (first,)
    if step.name == "broadcast_in_dim":
        axis = step.params["broadcast_dimensions"][first.axis]
        return (dataclasses.replace(first, axis=axis),)
    if step.name == "lt" and scalar and first.kind == "place":
        return (dataclasses.replace(first, kind="negative"),)
    if step.name == "add" and scalar and first.kind == "place":
        return (dataclasses.replace(first, kind="shifted"),)
    if step.name == "select_n" and first.kind == "negative":
        others = [known.get(v, (None,))[0] for v in step.inputs[1:]]
        if [c and (c.start, c.kind) for c in others] == [
            (first.start, "place"),
            (first.start, "shifted"),
        ]:
            return (others[0],)
    return None
