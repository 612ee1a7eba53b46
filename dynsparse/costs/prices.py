"""Prices: MACs of a gated model at any counts of open units."""

import collections
import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from dynsparse._internal.call import call
from dynsparse._internal.paths import (
    layer_name,
    path_name,
    split_layer,
    stands_inside,
)
from dynsparse.costs.tables import Table
from dynsparse.costs.traces import Macs, Traced, macs_at, mask_shapes
from dynsparse.gates import Gate, TopkGate, gated_modules


@dataclasses.dataclass(frozen=True)
class GatedPart:
    """A gated layer of a model, with its prices.

    Attributes:
        path: Path of the layer in the model.
        layer: Which layer of a stack it is; None where the module is one layer.
        num_units: Units per example, over all its rows.
        num_rows: Decisions per example: 1, or the number of tokens.
        kind: `Gate.count` of its gate.
        decides_always: Whether the gate runs even where all units are open.
        count: Units that open at every density, such as 1 for `gumbel_softmax`; None
            where a density or the input decides.
        closed: Host MACs that closing every unit saves.
        gate: MACs of one decision, the scorer included.

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> prices = costs.Prices(model, jax.ShapeDtypeStruct((1, 3, 4), "float32"))
    >>> [(part.num_units, part.closed) for part in prices.parts.values()]
    [(4, 192)]
    """

    path: tuple
    layer: int | None
    num_units: int
    num_rows: int
    kind: str
    decides_always: bool
    count: int | None
    closed: int
    gate: int

    @property
    def name(self) -> str:
        """The path, joined by "/", and the layer: the key of its record."""
        return layer_name(path_name(self.path), self.layer)

    def gate_macs(self, counts: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """Returns the MACs of deciding; opening all units may need no decision."""
        free = (counts == self.num_units) & (not self.decides_always)
        return np.where(free, 0, self.gate)


class PriceCurve(NamedTuple):
    """Cost of a layer by density, piecewise linear.

    It need not be a straight line: the cost of attention grows with the square of the
    open tokens.

    Attributes:
        densities: Densities from 0 to 1, in rising order.
        costs: Cost at each, from 0, as a fraction of the dense MACs of the model.

    >>> curve = costs.PriceCurve(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.1, 0.4]))
    >>> float(np.interp(0.75, curve.densities, curve.costs))
    0.25
    """

    densities: Float[np.ndarray, "points"]
    costs: Float[np.ndarray, "points"]


Counts = tuple[int | None, ...]  # open units by part; None: all, and no decision


class Prices:
    """MACs per example of a gated model, for any counts of open units.

    A price is `count_macs` of the compact execution at exactly those counts, so that it
    is right whatever else in the model a count changes. Traces are made on demand and
    kept for every model of the same structure and shapes. Where the units of a layer
    cost the same, a few traces price all of its counts.

    Attributes:
        dense: MACs with every unit open and no decision.
        floor: MACs with every unit closed and every decision made.
        parts: Gated layers by path, without those that the model does not call.

    Args:
        model: Any model, with or without gated layers.
        *args: Arguments of the model for one example: arrays with a batch axis of size
            1 or their ShapeDtypeStructs, and whatever else it is called with; or one
            `dynsparse.call`.
        while_bound: Iterations to assume for each `while` loop that multiplies.
        **kwargs: Its keyword arguments.

    Raises:
        ValueError: If a `while` loop multiplies and there is no `while_bound`, or the
            model fails on the arguments.

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> prices = costs.Prices(model, jax.ShapeDtypeStruct((1, 3, 4), "float32"))
    >>> prices.dense, prices.floor
    (192, 0)
    >>> prices.used({name: np.array([1, 4]) for name in prices.parts}).tolist()
    [48, 192]
    """

    def __init__(
        self,
        model: nnx.Module,
        /,
        *args: Any,
        while_bound: int | None = None,
        **kwargs: Any,
    ):
        self._traced = Traced.of(model, call(*args, **kwargs), while_bound)
        shapes = mask_shapes(self._traced)
        gated = gated_modules(model)
        recorded = [split_layer(name) for name in shapes]
        own = lambda path: [i for n, i in recorded if n == path_name(path)]
        self._places = [(path, layer) for path in gated for layer in own(path)]
        self._equal = [gated[path].equal_units for path, _ in self._places]
        self._dense: Counts = (None,) * len(self._places)
        self.dense = self._macs(self._dense).host
        self.parts: dict[str, GatedPart] = {}
        for index, (path, layer) in enumerate(self._places):
            closed, gate = self._macs(self._with({index: 0})), gated[path].gate
            mask = shapes[layer_name(path_name(path), layer)]
            *rows, units = mask
            part = GatedPart(
                path=path,
                layer=layer,
                num_units=math.prod(mask),
                num_rows=math.prod(rows),
                kind=gate.count,
                decides_always=gated[path].decides_always,
                count=_certain_count(gate, units, math.prod(rows)),
                closed=self.dense - closed.host,
                gate=0 if gate.count == "full" else closed.gates,
            )
            self.parts[part.name] = part
        all_closed = self._macs((0,) * len(self._places)).host
        self.floor = all_closed + sum(part.gate for part in self.parts.values())
        self._groups = self._independent(self.dense - all_closed)

    def layer_cost_curves(self) -> dict[str, PriceCurve]:
        """Returns the cost of the open units of each layer, by path.

        Layers are opened one after the other, outer ones first, since the units of a
        layer inside or behind another run only where the other's do. The last points of
        all curves and the floor add up to the cost of the model with every unit open.
        """
        order = sorted(range(len(self._places)), key=lambda i: len(self._places[i][0]))
        curves: dict[int, PriceCurve] = {}
        counts: list[int | None] = [0] * len(self._places)
        parts = list(self.parts.values())
        for index in order:
            # A fixed count of all units needs no decision: the dense price.
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
        """Returns the host MACs that layer `name` alone saves at each of `counts`."""
        index = list(self.parts).index(name)
        table = Table(
            lambda own: self._macs(self._with({index: own[0]})).host,
            equal=[self._equal[index]],
        )
        return self.dense - table(counts[:, None])

    def used(self, counts: Mapping[str, Int[np.ndarray, "n"]]) -> Int[np.ndarray, "n"]:
        """Returns the MACs of each example, given its open units by layer.

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
        """Returns the MACs that a group adds to the dense ones, gates included."""
        own = self._macs(self._with(dict(zip(group, counts, strict=True))))
        return own.host + own.gates - self.dense

    def _independent(self, saved: int) -> list[list[int]]:
        """Returns groups of layers whose prices add up; one group where they do not.

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
        """Returns counts of some layers, by index, with the others fully open."""
        return tuple(counts.get(i) for i in range(len(self._places)))

    def _macs(self, counts: Counts) -> Macs:
        """Returns the MACs at counts that may differ from layer to layer of a stack.

        All layers of a stack run one program, at one count, and add their MACs up: what
        they cost at counts of their own is the mean over the layers of what the model
        costs with all of them at the count of one.
        """
        stacks: dict[tuple, list[int | None]] = {}
        for (path, _), count in zip(self._places, counts, strict=True):
            stacks.setdefault(tuple(path), []).append(count)
        sizes = sorted({len(stack) for stack in stacks.values()})
        kinds = [_kinds(stacks, size) for size in sizes]
        host = gates = 0
        for chosen in itertools.product(*(kind.items() for kind in kinds)):
            times = math.prod(number for _, number in chosen)
            opened = dict(pair for own, _ in chosen for pair in own)
            macs = macs_at(self._traced, tuple((p, opened[p]) for p in stacks))
            host, gates = host + times * macs.host, gates + times * macs.gates
        return Macs(host // math.prod(sizes), gates // math.prod(sizes))


def _kinds(stacks: Mapping[tuple, Sequence], size: int) -> collections.Counter:
    """Returns the counts of the layers of one number in all stacks of a size."""
    chosen = {path: counts for path, counts in stacks.items() if len(counts) == size}
    of_layer = zip(*chosen.values(), strict=True)
    return collections.Counter(tuple(zip(chosen, c, strict=True)) for c in of_layer)


def _nested(names: Sequence[str], index: int, other: int) -> bool:
    pair = names[index], names[other]
    return stands_inside(*pair) or stands_inside(*reversed(pair))


def _certain_count(gate: Gate, units: int, rows: int) -> int | None:
    """Returns the units that `gate` opens in any example, None if that varies."""
    if isinstance(gate, TopkGate):
        return None
    count = gate.static_count(units)
    return None if count is None else count * rows
