"""Experts that a host calls one after the other, in a loop of Python."""

import dataclasses
import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.layers.trace.program.evaluate import apply, read, run
from dynsparse.layers.trace.program.program import Value
from dynsparse.layers.trace.units.experts import (
    Experts,
    ExpertsOfCall,
)
from dynsparse.layers.trace.units.find_units import Units
from dynsparse.layers.trace.units.run_units import Add, UnitsOfCall

# Where the parameters of experts lie: an axis, and the bounds of each along it.
Entries = dict[str, tuple[int, dict[int, tuple[int, int]]]]


class Expert(Units):
    """One expert of a loop: the steps that nothing else needs; it has no axis."""

    @property
    def num_units(self) -> int:
        """One."""
        return 1


@dataclasses.dataclass(frozen=True, eq=False)
class Loop(Experts):
    """Experts of a loop, which are stacked or added up where all have run.

    Attributes:
        experts: One for each turn of the loop.
        results: What each of them gives.
        entries: Parameters of the experts: an axis, and where along it that of each
            expert starts and ends.
    """

    experts: tuple[Expert, ...]
    results: tuple[Value, ...]
    entries: Entries

    @property
    def num_units(self) -> int:
        """Number of experts."""
        return len(self.experts)

    @property
    def readers(self) -> dict[str, int]:
        """Parameters without which an expert gives nothing, with the axis."""
        return {name: axis for name, (axis, _) in self.entries.items()}

    def places(self, name: str, chosen: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
        """Returns where some experts lie along the axis of a parameter.

        Args:
            name: One of `readers`.
            chosen: Experts.
        """
        _, bounds = self.entries[name]
        own = [np.arange(*bounds[i]) for i in map(int, chosen) if i in bounds]
        return np.concatenate([np.zeros(0, np.int64), *own])


@dataclasses.dataclass(frozen=True)
class LoopOfCall(ExpertsOfCall):
    """The experts of one call of a host with a loop.

    Attributes:
        units: The experts of its host.
    """

    units: Loop

    @property
    def _each(self) -> list[UnitsOfCall]:
        return [UnitsOfCall(self.call, e, self.rows) for e in self.units.experts]

    def routed(self) -> Float[Array, "rows experts"]:
        """Computes how much each expert counts in each row, as in `ExpertsOfCall`."""
        if self.units.factor >= 0:
            return super().routed()
        columns = []
        for weights in self.units.weights:
            sizes = [self.rows.sizes(v, read(self.early, v), None) for v in weights]
            columns.append(functools.reduce(jnp.multiply, sizes))
        return jnp.concatenate(columns, -1)

    def weighed(self, weights: Float[Array, "rows n"]) -> Any:
        """Runs the host with what its experts give weighed.

        Args:
            weights: One for each row and expert.
        """
        values, before = dict(self.early), set(self.units.before)
        index = {value: i for i, value in enumerate(self.units.results)}
        for step in self.units.trace.program.steps:
            if step in before:
                continue
            arrays = [read(values, value) for value in step.inputs]
            results = apply(step, arrays, self.units.trace.axes, {})
            values.update(zip(step.outputs, results, strict=True))
            for value in step.outputs:
                if value in index:
                    own = weights[:, index[value]]
                    mask = self.rows.beside(value, own, None)
                    values[value] = ops.weigh(values[value], mask)
        return self._finish(values)

    def first(self, count: int) -> Any:
        """Runs the host with its first experts, for all rows.

        Args:
            count: Number of experts.
        """
        values, axes = dict(self.early), self.units.trace.axes
        pairs = zip(self.units.experts, self.units.results, strict=True)
        for i, (expert, value) in enumerate(pairs):
            if i < count:
                run(expert.inside, values, axes)
            else:
                values[value] = jnp.zeros(value.shape, value.dtype)
        return self._finish(run(self.units.after, values, axes))

    def parts(self, num_parts: int, add: Add) -> Any:
        """Runs the host with its experts, each for some of the rows.

        Args:
            num_parts: Number of experts.
            add: As in `UnitsOfCall`.
        """
        values = dict(self.early)
        for i, expert in enumerate(self._each):
            values = expert.sums(values, range(i, i + 1), add)
        return self._finish(run(self.units.after, values, self.units.trace.axes))

    def check_rows(self):
        """Refuses experts that the rows do not reach, as in `UnitsOfCall`."""
        for value in self.units.results:
            if len(self.rows.of(value)) < len(self.rows.factors):
                raise ValueError("rows of the input do not reach its experts")

    def check_apart(self):
        """Refuses experts that rows cannot differ in, as in `UnitsOfCall`."""
        for expert in self._each:
            expert.check_apart()
