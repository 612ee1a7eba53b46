"""What a gated model costs at every count of open units."""

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from dynsparse.costs.macs import macs_by_scope
from dynsparse.gates.base import (
    Gate,
    GateRecord,
    TopkGate,
    evaluating,
    gated_modules,
    records,
)
from dynsparse.paths import path_name


@dataclasses.dataclass(frozen=True)
class GatedPart:
    """A gated layer of a model, as its bill sees it.

    Attributes:
        path: Where it stands in the model; the key of its record is its "/"-join.
        num_units: Units per example, over all the rows that decide.
        num_rows: Decisions per example: 1, or the tokens where each has its own.
        kind: `Gate.count` of its gate.
        count: Units that open at every density, as with the one of n of
            `gumbel_softmax`; None where a density or the input decides.
        closed: Host MACs that closing every unit saves.
        gate: MACs of one decision, the scorer's included.
    """

    path: tuple
    num_units: int
    num_rows: int
    kind: str
    count: int | None
    closed: int
    gate: int

    @property
    def name(self) -> str:
        """The path as the keys of records write it."""
        return path_name(self.path)

    def gate_macs(self, counts: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """MACs of deciding; a fixed count of all units needs no decision."""
        free = (self.kind == "fixed") & (counts == self.num_units)
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
Opened = tuple[tuple[tuple, int | None], ...]  # the same beside the paths of the layers


class Prices:
    """MACs per example of a gated model, for any counts of open units.

    A price is `count_macs` of the compact execution at exactly those counts, so that
    it holds whatever else in the model a count changes. Traced on demand and kept, for
    every model of the same structure and shapes.

    Attributes:
        dense: MACs with every unit open and no decision.
        floor: MACs that no gate can close: every unit closed, every decision made.
        parts: The gated layers by name.

    Args:
        model: Any model with gated layers, or none.
        example: One input, with its batch axis of size 1, or its ShapeDtypeStruct.
    """

    def __init__(
        self,
        model: nnx.Module,
        example: Shaped[Array, "1 *shape"] | jax.ShapeDtypeStruct,
    ):
        self._structure = _Structure.of(evaluating(model, execution="compact"), example)
        self._macs: dict[Counts, int] = {}
        self._gates: dict[Counts, int] = {}
        gated = gated_modules(model)
        self._paths = list(gated)
        shapes = _mask_shapes(model, example)
        masks = [shapes[path_name(path)] for path in self._paths]
        self._dense: Counts = (None,) * len(masks)
        self.dense = self._host_macs(self._dense)
        self.parts: dict[str, GatedPart] = {}
        for index, path in enumerate(self._paths):
            closed, gate = self._with(index, 0), gated[path].gate
            *rows, units = masks[index]
            part = GatedPart(
                path=path,
                num_units=math.prod(masks[index]),
                num_rows=math.prod(rows),
                kind=gate.count,
                count=_certain_count(gate, units, math.prod(rows)),
                closed=self.dense - self._host_macs(closed),
                gate=0 if gate.count == "full" else self._gate_macs(closed),
            )
            self.parts[part.name] = part
        self._hosts_closed = self._host_macs((0,) * len(self._paths))
        # Where no count changes the price of another layer, prices add up.
        self._additive = self.dense - self._hosts_closed == sum(
            part.closed for part in self.parts.values()
        )
        self.floor = self._hosts_closed + sum(p.gate for p in self.parts.values())

    def shares(self) -> dict[str, PriceCurve]:
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
            units, varies = parts[index].num_units, parts[index].kind == "varying"
            points = np.unique(np.linspace(0, units, 9).round().astype(int))
            spent = []
            for point in points.tolist():
                counts[index] = point if point < units or varies else None
                spent.append(self._host_macs(tuple(counts)))
            costs = (np.array(spent) - spent[0]) / self.dense
            curves[index] = PriceCurve(points / units, costs)
        return {name: curves[index] for index, name in enumerate(self.parts)}

    def saved(self, name: str, counts: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """Host MACs that layer `name` alone saves at each of `counts`."""
        index = list(self.parts).index(name)
        table = {
            count: self.dense - self._host_macs(self._with(index, count))
            for count in np.unique(counts).tolist()
        }
        return np.array([table[count] for count in counts.tolist()], np.int64)

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
        if self._additive:
            used = np.full(1, self.dense, np.int64)
            for name, part in self.parts.items():
                used = used + part.gate_macs(counts[name])
                used = used - self.saved(name, counts[name])
            return used
        rows = np.stack([counts[name] for name in self.parts], -1).tolist()
        return np.array(
            [self._host_macs(c) + self._gate_macs(c) for c in map(tuple, rows)]
        )

    def _with(self, index: int, count: int) -> Counts:
        return (*self._dense[:index], count, *self._dense[index + 1 :])

    def _host_macs(self, counts: Counts) -> int:
        if counts not in self._macs:
            # Dead code counts: with every unit closed the stem is dead, not free.
            self._macs[counts] = self._trace(counts, dead_code=True)[False]
        return self._macs[counts]

    def _gate_macs(self, counts: Counts) -> int:
        """MACs of the gates that are asked at `counts`; a score not read is dead."""
        if counts not in self._gates:
            self._gates[counts] = self._trace(counts, dead_code=False)[True]
        return self._gates[counts]

    def _trace(self, counts: Counts, *, dead_code: bool) -> Counter[bool]:
        opened = tuple(zip(map(tuple, self._paths), counts, strict=True))
        return self._structure.trace(opened, dead_code)


@dataclasses.dataclass(frozen=True)
class _Structure:
    """All that prices depend on: a model and an example without their numbers."""

    graphdef: Any
    tree: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]
    example: jax.ShapeDtypeStruct

    @classmethod
    def of(cls, model: nnx.Module, example: Any) -> "_Structure":
        """Takes the numbers away."""
        graphdef, state = nnx.split(model)
        leaves, tree = jax.tree.flatten(state)
        shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
        return cls(graphdef, tree, tuple(map(shape, leaves)), shape(example))

    def trace(self, opened: Opened, dead_code: bool) -> Counter[bool]:
        """MACs of the gates, True, and of all else, False; known if ever asked for."""
        try:
            return _trace(self, opened, dead_code)
        except TypeError:  # a static attribute of the model does not hash
            return _trace.__wrapped__(self, opened, dead_code)


@functools.lru_cache(maxsize=4096)
def _trace(structure: _Structure, opened: Opened, dead_code: bool) -> Counter[bool]:
    state = jax.tree.unflatten(structure.tree, structure.leaves)
    model = nnx.merge(structure.graphdef, state)
    for path, count in opened:
        at_path = lambda found, _, path=path: tuple(found) == path
        if count is None:
            model = nnx.view(model, only=at_path, execution="dense")
        else:
            model = nnx.view(model, only=at_path, forced_count=count)
    graphdef, state = nnx.split(model)

    def run(state, example):  # the decisions are outputs, hence never dead code
        return nnx.capture(nnx.merge(graphdef, state), GateRecord)(example)

    macs: Counter[bool] = Counter()
    scopes = macs_by_scope(run, state, structure.example, dead_code=dead_code)
    for scope, amount in scopes.items():
        macs["gate" in scope.split("/")] += amount
    return macs


def _certain_count(gate: Gate, units: int, rows: int) -> int | None:
    """Units that `gate` opens in an example, if nothing but its kind says so."""
    if isinstance(gate, TopkGate):
        return None
    count = gate.static_count(units)
    return None if count is None else count * rows


def _mask_shapes(model: nnx.Module, example) -> dict[str, tuple[int, ...]]:
    """Shapes of the decisions for one example, by the name of the layer."""
    graphdef, state = nnx.split(evaluating(model, execution="dense"))

    def run(state, example):
        _, captured = nnx.capture(nnx.merge(graphdef, state), GateRecord)(example)
        return {name: output.mask for name, output in records(captured).items()}

    masks = jax.eval_shape(run, state, example)
    return {name: mask.shape[1:] for name, mask in masks.items()}
