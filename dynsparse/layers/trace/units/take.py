"""Some units of what the program of a host reads: slices, where they will do."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from dynsparse.layers.trace.program.evaluate import Values, read
from dynsparse.layers.trace.program.program import Step
from dynsparse.layers.trace.units.find_units import Units


def taken(units: Units, values: Values, steps: Sequence[Step], chosen: Any) -> Values:
    """Takes what steps read of some values, of the chosen units alone.

    Args:
        units: The units of a host.
        values: Arrays that are known, with all units.
        steps: Some steps of the host's program.
        chosen: Indices of units; where they are traced each place is looked up.
    """
    made = {value for step in steps for value in step.outputs}
    read_by = dict.fromkeys(value for step in steps for value in step.inputs)
    found = {}
    for value in read_by:
        held = units.holding(value)
        if value not in made and (value in values or held):
            found[value] = read(values, value)
            for i in held:
                axis = units.trace.axes.of(value)[i]
                places = units.trace.axes.classes.places(axis, units.factor, chosen)
                found[value] = _entries(found[value], i, places)
    return found


def _entries(x: Array, axis: int, places: Any) -> Array:
    """Some entries of an array along an axis: a slice, which copies nothing, if any."""
    take = lambda: jnp.take(x, places, axis=axis, unique_indices=True, mode="clip")
    if isinstance(places, jax.Array):
        return take()
    size, count = x.shape[axis], 1 + np.count_nonzero(np.diff(places) != 1)
    first, stride = places[: places.size // count], size // count
    rows = first + stride * np.arange(count)[:, None]
    if stride * count != size or not np.array_equal(rows.ravel(), places):
        return take()
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    start = int(first[0]) if first.size else 0
    some = jax.lax.slice_in_dim(
        x.reshape(*before, count, stride, *behind),
        start,
        start + first.size,
        axis=axis + 1,
    )
    return some.reshape(*before, places.size, *behind)
