"""What a gated model costs at every count of open units."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from dynsparse._internal.paths import path_name, stands_inside
from dynsparse.costs.tables import Table
from dynsparse.costs.traces import Split, Traced, macs_at
from dynsparse.gates import Gate, TopkGate, gated_modules


@dataclasses.dataclass(frozen=True)
class GatedPart:
    """A gated layer of a model, as its bill sees it.

    Attributes:
        path: Where it stands in the model; the key of its record is its "/"-join.
        num_units: Units per example, over all the rows that decide.
        num_rows: Decisions per example: 1, or the tokens where each has its own.
        kind: `Gate.count` of its gate.
        decides_always: Whether it decides even where the count is that of all units.
        count: Units that open at every density, as with the one of n of
            `gumbel_softmax`; None where a density or the input decides.
        closed: Host MACs that closing every unit saves.
        gate: MACs of one decision, the scorer's included.
    """

    path: tuple
    num_units: int
    num_rows: int
    kind: str
    decides_always: bool
    count: int | None
    closed: int
    gate: int

    @property
    def name(self) -> str:
        """The path as the keys of records write it."""
        return path_name(self.path)

    def gate_macs(self, counts: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """MACs of deciding; a fixed count of all units may need no decision."""
        free = (counts == self.num_units) & (not self.decides_always)
        return np.where(free, 0, self.gate)


class PriceCurve(NamedTuple):
    """What a layer costs at some densities, in rising order; linear between them.

    Dropped tokens, for one, make attention cheaper by the square.

    Attributes:
        densities: From 0 to 1.
        costs: From 0, as fractions of the dense MACs of the model.
    """

    densities: Float[np.ndarray, "points"]
    costs: Float[np.ndarray, "points"]


Counts = tuple[int | None, ...]  # open units by layer; None: all, and no decision


class Prices:
    """MACs per example of a gated model, for any counts of open units.

    A price is `count_macs` of the compact execution at exactly those counts, so that
    it holds whatever else in the model a count changes. Traced on demand and kept, for
    every model of the same structure and shapes. Where units of a layer cost the same,
    a few traces price all of its counts.

    Attributes:
        dense: MACs with every unit open and no decision.
        floor: MACs that no gate can close: every unit closed, every decision made.
        parts: The gated layers by name, but for those that the model does not call.

    Args:
        model: Any model with gated layers, or none.
        example: One input, with its batch axis of size 1, or its ShapeDtypeStruct.
        while_bound: Iterations to assume of each `while` loop that multiplies.

    Raises:
        ValueError: If a `while` loop multiplies and there is no `while_bound`.
    """

    def __init__(
        self,
        model: nnx.Module,
        example: Shaped[Array, "1 *shape"] | jax.ShapeDtypeStruct,
        *,
        while_bound: int | None = None,
    ):
        self._traced = Traced.of(model, example, while_bound)
        shapes = self._traced.mask_shapes()
        gated = {
            path: module
            for path, module in gated_modules(model).items()
            if path_name(path) in shapes
        }
        self._paths = list(gated)
        self._equal = [module.equal_units for module in gated.values()]
        masks = [shapes[path_name(path)] for path in self._paths]
        self._dense: Counts = (None,) * len(masks)
        self.dense = self._macs(self._dense).host
        self.parts: dict[str, GatedPart] = {}
        for index, path in enumerate(self._paths):
            closed, gate = self._macs(self._with({index: 0})), gated[path].gate
            *rows, units = masks[index]
            part = GatedPart(
                path=path,
                num_units=math.prod(masks[index]),
                num_rows=math.prod(rows),
                kind=gate.count,
                decides_always=gated[path].decides_always,
                count=_certain_count(gate, units, math.prod(rows)),
                closed=self.dense - closed.host,
                gate=0 if gate.count == "full" else closed.gates,
            )
            self.parts[part.name] = part
        all_closed = self._macs((0,) * len(self._paths)).host
        self.floor = all_closed + sum(part.gate for part in self.parts.values())
        self._groups = self._independent(self.dense - all_closed)

    def layer_cost_curves(self) -> dict[str, PriceCurve]:
        """What the open units of each layer cost, as a fraction of the dense MACs.

        Layers are opened one after the other, those that contain others first, so that
        the last points of the curves and the floor add up to what the model costs with
        every unit open; a layer inside of another, or behind it, has units that run
        only where the other's do.
        """
        order = sorted(range(len(self._paths)), key=lambda i: len(self._paths[i]))
        curves: dict[int, PriceCurve] = {}
        counts: list[int | None] = [0] * len(self._paths)
        parts = list(self.parts.values())
        for index in order:
            # The dense price, without a decision, is that of a count that is fixed.
            units, decides = parts[index].num_units, parts[index].decides_always
            points = np.unique(np.linspace(0, units, 9).round().astype(int))
            spent = []
            for point in points.tolist():
                counts[index] = point if point < units or decides else None
                spent.append(self._macs(tuple(counts)).host)
            costs = (np.array(spent) - spent[0]) / self.dense
            curves[index] = PriceCurve(points / units, costs)
        return {name: curves[index] for index, name in enumerate(self.parts)}

    def saved(self, name: str, counts: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """Host MACs that layer `name` alone saves at each of `counts`."""
        index = list(self.parts).index(name)
        table = Table(
            lambda own: self._macs(self._with({index: own[0]})).host,
            equal=[self._equal[index]],
        )
        return self.dense - table(counts[:, None])

    def used(self, counts: Mapping[str, Int[np.ndarray, "n"]]) -> Int[np.ndarray, "n"]:
        """MACs of each example, given its open units by layer.

        Args:
            counts: For each of `parts`, one count per example in [0, num_units].

        Raises:
            ValueError: If a layer is missing from `counts`.
        """
        missing = [name for name in self.parts if name not in counts]
        if missing:
            raise ValueError(f"counts lack the layers {missing}.")
        names = list(self.parts)
        used = np.full(1, self.dense, np.int64)
        for group in self._groups:
            table = Table(
                lambda own, group=group: self._added(group, own),
                equal=[self._equal[index] for index in group],
            )
            used = used + table(np.stack([counts[names[i]] for i in group], -1))
        return used

    def _added(self, group: Sequence[int], counts: Sequence[int]) -> int:
        """What some layers add to the dense MACs, their gates included."""
        own = self._macs(self._with(dict(zip(group, counts, strict=True))))
        return own.host + own.gates - self.dense

    def _independent(self, saved: int) -> list[list[int]]:
        """Groups of layers whose prices add up; one group where they do not.

        Args:
            saved: Host MACs that closing all layers saves.
        """
        names, groups = list(self.parts), []
        for index in range(len(names)):
            related = [g for g in groups if any(_nested(names, index, i) for i in g)]
            rest = [group for group in groups if group not in related]
            groups = [*rest, sorted([index, *sum(related, [])])]
        closed = [self._macs(self._with(dict.fromkeys(group, 0))) for group in groups]
        if saved == sum(self.dense - macs.host for macs in closed):
            return groups
        return [list(range(len(names)))]

    def _with(self, counts: Mapping[int, int]) -> Counts:
        """Counts of some layers, by number, beside all units of the others."""
        return tuple(counts.get(i) for i in range(len(self._paths)))

    def _macs(self, counts: Counts) -> Split:
        opened = tuple(zip(map(tuple, self._paths), counts, strict=True))
        return macs_at(self._traced, opened)


def _nested(names: Sequence[str], index: int, other: int) -> bool:
    pair = names[index], names[other]
    return stands_inside(*pair) or stands_inside(*reversed(pair))


def _certain_count(gate: Gate, units: int, rows: int) -> int | None:
    """Units that `gate` opens in an example, if nothing but its kind says so."""
    if isinstance(gate, TopkGate):
        return None
    count = gate.static_count(units)
    return None if count is None else count * rows
