"""The two executions of a host's units: all of them weighed, or the open ones alone."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

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
from dynsparse.layers.trace.units.take import taken

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
        values, early = dict(self.early), set(self.units.before)
        steps = [s for s in self.units.trace.program.steps if s not in early]
        return self._finish(self._run(steps, values, self.rows, weights))

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
        some = taken(self.units, values, steps, np.arange(count))
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

    def row_by_row(
        self, chosen: Int[Array, "rows n"], weights: Float[Array, "rows n"]
    ) -> Any:
        """Runs the host with as many units for each row, which are its own.

        Args:
            chosen: Units of each row.
            weights: Weighs these units.
        """
        values, few = dict(self.early), self.rows.few(1)
        given, start = self._apart(values), self._nothing()
        # Written one after the other: a concatenation is fused with what follows, and
        # each element then looks for its piece.
        for i in range(self.rows.count):
            some = [x[i : i + 1] for x in given]
            own = weights[i : i + 1]
            added = self._run_some(values, few, some, chosen[i], own)
            start = jax.lax.dynamic_update_slice_in_dim(start, added, i, 0)
        values = self._together(values, start)
        return self._finish(run(self.units.after, values, self.units.trace.axes))

    def sums(self, values: Values, blocks: range, add: Add) -> Values:
        """Adds what the sums over the units give, block by block.

        Args:
            values: What does not depend on the units.
            blocks: Blocks of units, of all that there are.
            add: Runs the blocks.
        """
        block = self.units.num_units // len(blocks)
        last = {*self.rows.factors[-1:]}
        known = (v for s in self.units.inside for v in (*s.inputs, *s.outputs))
        alike = all(last <= {*found} for found in map(self.rows.of, known) if found)

        def part(index: int, some: list[Any]) -> Any:
            chosen = np.arange(index * block, (index + 1) * block)

            def run_some(some: Sequence[Any]) -> Any:
                few = self.rows.few(len(some[0]) if some else 1)
                return self._run_some(values, few, some, chosen)

            if alike:
                return run_some(some)
            return jax.vmap(lambda row: run_some([x[None] for x in row])[0])(some)

        total = add(self._apart(values), part, self._nothing(), blocks)
        return self._together(values, total)

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

    @property
    def _sums(self) -> list[Value]:
        """What the products over the units give."""
        return [s.outputs[0] for s in self.units.inside if s in self.units.ends]

    @property
    def _moving(self) -> list[Value]:
        """Values with rows that the steps with units read and do not make."""
        return [value for value in self._outside() if self.rows.of(value)]

    def _apart(self, values: Values) -> list[Array]:
        """What moves, one entry for each row."""
        given = [self.rows.apart(v, read(values, v)) for v in self._moving]
        return [_flat(x) for x in given]

    def _nothing(self) -> Float[Array, "rows sums"]:
        """What the products over the units give without any unit."""
        count, values = self.rows.count, self._sums
        length = sum(math.prod(value.shape) // count for value in values)
        return jnp.zeros((count, length), values[0].dtype)

    def _together(self, values: Values, total: Float[Array, "rows sums"]) -> Values:
        """Puts what the products over the units give into values."""
        lengths = [math.prod(v.shape) // self.rows.count for v in self._sums]
        pieces = jnp.split(total, np.cumsum(lengths)[:-1], axis=-1)
        for value, piece in zip(self._sums, pieces, strict=True):
            values[value] = self.rows.together(value, piece.astype(value.dtype))
        return values

    def _run_some(
        self,
        values: Values,
        few: Rows,
        some: Sequence[Array],
        chosen: Any,
        weights: Float[Array, "rows n"] | None = None,
    ) -> Float[Array, "rows sums"]:
        """What the products over some units give for some rows."""
        pairs = zip(self._moving, some, strict=True)
        own = {**values, **{v: few.together(v, x) for v, x in pairs}}
        own = taken(self.units, own, self.units.inside, chosen)
        sizes = {**few.resized, self.units.factor: len(chosen)}
        few = dataclasses.replace(few, resized=sizes)
        self._run(self.units.inside, own, few, weights)
        pieces = [_flat(few.apart(value, own[value])) for value in self._sums]
        return jnp.concatenate(pieces, -1)

    def _run(
        self,
        steps: Sequence[Step],
        values: Values,
        rows: Rows,
        weights: Float[Array, "rows n"] | None,
    ) -> Values:
        """Runs steps on some rows, with the units weighed where there are weights."""
        axes, factor = self.units.trace.axes, self.units.factor
        if weights is None:
            return run(steps, values, axes, rows.resized)
        beside = lambda value: rows.beside(value, weights, factor)
        apart = lambda value: {factor, *rows.factors} <= {*rows.expanded(value)}
        for step in steps:
            arrays = [read(values, value) for value in step.inputs]
            if step in self.units.ends:
                i = self.units.weighed(step)
                arrays[i] = ops.weigh(arrays[i], beside(step.inputs[i]))
            results = apply(step, arrays, axes, rows.resized)
            found = any(map(self.units.holding, step.inputs))
            if found and not any(map(apart, step.inputs)):  # it makes the units
                results = [
                    ops.drop_closed(x, beside(v)) if apart(v) else x
                    for v, x in zip(step.outputs, results, strict=True)
                ]
            values.update(zip(step.outputs, results, strict=True))
        return values

    def _outside(self) -> list[Value]:
        """Values that the steps with units read and do not make."""
        inside = self.units.inside
        made = {value for step in inside for value in step.outputs}
        read_by = dict.fromkeys(value for step in inside for value in step.inputs)
        return [value for value in read_by if value not in made]

    def _finish(self, values: Values) -> Any:
        outputs = self.units.trace.program.outputs
        return self.call.finish([read(values, value) for value in outputs])


def _flat(x: Array) -> Array:
    """Rows of one axis each: axes of length 1 would be copied where they move."""
    return x.reshape(len(x), -1)
