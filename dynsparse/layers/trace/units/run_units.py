"""The two executions of a host's units: all of them weighed, or the open ones alone."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.layers.trace.program.evaluate import (
    Values,
    apply,
    read,
    run,
    shape_of,
)
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.program.program import Step, Value
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.find_units import Units

# `add(rows, part, start, blocks)` adds to `start`, one entry for each row, what
# `part(index, some_rows)` gives for the rows that open a block: `blocks[index]`.
Add = Callable[[Any, Any, Array, range], Array]


@dataclasses.dataclass(frozen=True)
class UnitsOfCall:
    """The units of one call of a host, in the rows that decide about them.

    Attributes:
        call: The call.
        units: The units of its host.
        rows: What decides: examples, or all that the host's input has features of.
    """

    call: HostCall
    units: Units
    rows: Rows

    @functools.cached_property
    def early(self) -> Values:
        """Arrays that do not depend on which units run."""
        axes, resized = self.units.trace.axes, self.call.resized
        return run(self.units.before, self.call.inputs(), axes, resized)

    def weighed(self, weights: Float[Array, "rows n"]) -> Any:
        """Runs the host with its units weighed where products sum over them.

        What makes the units leaves out what is closed and not finite, so that it
        reaches no gradient on the way.

        Args:
            weights: One for each row and unit.
        """
        values, axes = dict(self.early), self.units.trace.axes
        before = set(self.units.before)
        beside = lambda value: self.rows.beside(value, weights, self.units.factor)
        for step in self.units.trace.program.steps:
            if step in before:
                continue
            arrays = [read(values, value) for value in step.inputs]
            if step in self.units.ends:
                i = self.units.weighed(step)
                arrays[i] = ops.weigh(arrays[i], beside(step.inputs[i]))
            results = apply(step, arrays, axes, self.call.resized)
            if self._makes(step):
                results = [
                    ops.drop_closed(x, beside(v)) if self._apart(v) else x
                    for v, x in zip(step.outputs, results, strict=True)
                ]
            values.update(zip(step.outputs, results, strict=True))
        return self._finish(values)

    def first(self, count: int) -> Any:
        """Runs the host with its first units, for all rows.

        Args:
            count: Number of units.
        """
        values, resized = dict(self.early), self.call.resized
        axes = self.units.trace.axes
        if not count:
            for step in self.units.ends:
                value = step.outputs[0]
                shape = shape_of(value, axes, resized)
                values[value] = jnp.zeros(shape, value.dtype)
            return self._finish(run(self.units.after, values, axes, resized))
        early = set(self.units.before)
        steps = [s for s in self.units.trace.program.steps if s not in early]
        some = self._taken(values, steps, np.arange(count))
        run(steps, some, axes, {**resized, self.units.factor: count})
        return self._finish(
            {**values, **{v: some[v] for s in steps for v in s.outputs}}
        )

    def parts(self, num_parts: int, add: Add) -> Any:
        """Runs the host with blocks of units, each for some of the rows.

        Args:
            num_parts: Number of blocks, in order.
            add: Runs the blocks.
        """
        values = self.sums(dict(self.early), range(num_parts), add)
        return self._finish(run(self.units.after, values, self.units.trace.axes))

    def sums(self, values: Values, blocks: range, add: Add) -> Values:
        """Adds what the sums over the units give, block by block.

        Args:
            values: What does not depend on the units.
            blocks: Blocks of units, of all that there are.
            add: Runs the blocks.
        """
        units, rows, axes = self.units, self.rows, self.units.trace.axes
        block = units.num_units // len(blocks)
        ends = [step.outputs[0] for step in units.inside if step in units.ends]
        moving = [value for value in self._outside() if rows.of(value)]
        last = set(rows.factors[-1:])
        known = (v for step in units.inside for v in (*step.inputs, *step.outputs))
        together = all(last <= {*found} for found in map(rows.of, known) if found)

        def part(index: int, some: list[Any]) -> Any:
            chosen = np.arange(index * block, (index + 1) * block)

            def run_some(some: Sequence[Any]) -> Any:
                few = rows.few(len(some[0]) if some else 1)
                pairs = zip(moving, some, strict=True)
                own = {**values, **{v: few.together(v, x) for v, x in pairs}}
                own = self._taken(own, units.inside, chosen)
                run(units.inside, own, axes, {**few.resized, units.factor: block})
                pieces = [flat(few.apart(value, own[value])) for value in ends]
                return jnp.concatenate(pieces, -1)

            if together:
                return run_some(some)
            return jax.vmap(lambda row: run_some([x[None] for x in row])[0])(some)

        lengths = [math.prod(value.shape) // rows.count for value in ends]
        start = jnp.zeros((rows.count, sum(lengths)), ends[0].dtype)
        flat = lambda x: x.reshape(len(x), -1)  # axes of length 1 would be copied
        given = [flat(rows.apart(v, read(values, v))) for v in moving]
        pieces = jnp.split(
            add(given, part, start, blocks), np.cumsum(lengths)[:-1], axis=-1
        )
        for value, piece in zip(ends, pieces, strict=True):
            values[value] = rows.together(value, piece.astype(value.dtype))
        return values

    def check_rows(self):
        """Refuses units that the rows do not reach.

        Raises:
            ValueError: If what products of the units read does not have all rows.
        """
        classes = self.units.trace.axes.classes
        for step in self.units.ends:
            own = self.rows.of(step.inputs[self.units.weighed(step)])
            for factor in {*self.rows.factors} - {*own}:
                reasons = [lock.reason for lock in classes.locks(factor)]
                reason = reasons[0] if reasons else "they are put together anew"
                raise ValueError(f"rows of the input do not reach its units ({reason})")

    def check_apart(self):
        """Refuses units that rows cannot differ in.

        Raises:
            ValueError: If the units of a row depend on other rows, or on the sum over
                the units.
        """
        if self.units.entangled:
            raise ValueError(
                "a sum over the units decides about the units (squeeze-and-excite), so "
                "that rows cannot differ in them; take one width for all"
            )
        axes = self.units.trace.axes
        steps = {axes.step_of(step): step for step in self.units.inside}
        for factor in self.rows.factors:
            for lock in axes.classes.locks(factor):
                if lock.step in steps:
                    raise ValueError(f"rows depend on each other ({lock.reason})")
        for step in self.units.inside:
            own = [self.rows.of(value) for value in step.outputs]
            if any(map(self.rows.of, step.inputs)) and any(
                len(found) < len(self.rows.factors) for found in own
            ):
                raise ValueError(f"rows are mixed where there are units ({step.name})")

    def _makes(self, step: Step) -> bool:
        """Whether a step makes the units of the rows, such as the first product."""
        found = any(map(self.units.holding, step.inputs))
        return found and not any(map(self._apart, step.inputs))

    def _apart(self, value: Value) -> bool:
        """Whether a value has the units of all rows, each in a place of its own."""
        own = self.rows.expanded(value)
        return {self.units.factor, *self.rows.factors} <= {*own}

    def _outside(self) -> list[Value]:
        """Values that the steps with units read and do not make."""
        inside = self.units.inside
        made = {value for step in inside for value in step.outputs}
        read_by = dict.fromkeys(value for step in inside for value in step.inputs)
        return [value for value in read_by if value not in made]

    def _taken(
        self, values: Values, steps: Sequence[Any], chosen: np.ndarray
    ) -> Values:
        """What steps read of some values, of the chosen units alone."""
        made = {value for step in steps for value in step.outputs}
        read_by = dict.fromkeys(value for step in steps for value in step.inputs)
        return {
            value: self._take(value, read(values, value), chosen)
            for value in read_by
            if value not in made and (value in values or self.units.holding(value))
        }

    def _take(self, value: Value, x: Any, chosen: np.ndarray) -> Any:
        classes = self.units.trace.axes.classes
        for i in self.units.holding(value):
            axis = self.units.trace.axes.of(value)[i]
            places = classes.places(axis, self.units.factor, chosen)
            x = _entries(x, i, places)
        return x

    def _finish(self, values: Values) -> Any:
        outputs = self.units.trace.program.outputs
        return self.call.finish([read(values, value) for value in outputs])


def _entries(x: Array, axis: int, places: np.ndarray) -> Array:
    """Some entries of an array along an axis: a slice, which copies nothing, if any."""
    size, count = x.shape[axis], 1 + np.count_nonzero(np.diff(places) != 1)
    first, stride = places[: places.size // count], size // count
    rows = first + stride * np.arange(count)[:, None]
    if stride * count != size or not np.array_equal(rows.ravel(), places):
        return jnp.take(x, places, axis=axis, unique_indices=True, mode="clip")
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    start = int(first[0]) if first.size else 0
    x = x.reshape(*before, count, stride, *behind)
    x = jax.lax.slice_in_dim(x, start, start + first.size, axis=axis + 1)
    return x.reshape(*before, places.size, *behind)
