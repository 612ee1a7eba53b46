"""What a gated model costs at every count of open units."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse.costs.macs import macs_by_scope
from dynsparse.gates.base import Gate, GateRecord


@dataclasses.dataclass(frozen=True)
class GatedPart:
    """A gated layer of a model, as its bill sees it.

    Attributes:
        path: Where it stands in the model; the key of its record is its "/"-join.
        num_units: Units per example.
        kind: `Gate.count` of its gate.
        closed: Host MACs that closing every unit saves.
        gate: MACs of one decision, the scorer's included.
    """

    path: tuple
    num_units: int
    kind: str
    closed: int
    gate: int

    @property
    def name(self) -> str:
        """The path as the keys of records write it."""
        return "/".join(map(str, self.path))

    def gate_macs(self, counts: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
        """MACs of deciding; a fixed count of all units needs no decision."""
        free = (self.kind == "fixed") & (counts == self.num_units)
        return np.where(free, 0, self.gate)


class Prices:
    """MACs per example of a gated model, for any counts of open units.

    A price is `count_macs` of the compact execution at exactly those counts, so that
    it holds whatever else in the model a count changes. Traced on demand and kept.

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
        example: Float[Array, "1 *shape"] | jax.ShapeDtypeStruct,
    ):
        self._model = nnx.view(
            model, execution="compact", deterministic=True, raise_if_not_found=False
        )
        self._example = example
        self._macs: dict[tuple[int, ...], int] = {}
        self._layers = [
            (path, gated.num_units, gated.gate.count)
            for path, gated in _gated_modules(model)
        ]
        self._full = tuple(units for _, units, _ in self._layers)
        self.dense = self._host_macs(self._full)
        self.parts: dict[str, GatedPart] = {}
        for index, (path, units, kind) in enumerate(self._layers):
            closed = self._with(index, 0)
            part = GatedPart(
                path=path,
                num_units=units,
                kind=kind,
                closed=self.dense - self._host_macs(closed),
                gate=0 if kind == "full" else self._gate_macs(closed),
            )
            self.parts[part.name] = part
        self._hosts_closed = self._host_macs((0,) * len(self._layers))
        # Where no count changes the price of another layer, prices add up.
        self._additive = self.dense - self._hosts_closed == sum(
            part.closed for part in self.parts.values()
        )
        self.floor = self._hosts_closed + sum(p.gate for p in self.parts.values())

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
        used = np.zeros(1, np.int64)
        for name, part in self.parts.items():
            used = used + part.gate_macs(counts[name])
        if self._additive:
            for name in self.parts:
                used = used - self.saved(name, counts[name])
            return self.dense + used
        rows = np.stack([counts[name] for name in self.parts], -1)
        return used + [self._host_macs(tuple(row)) for row in rows.tolist()]

    def _with(self, index: int, count: int) -> tuple[int, ...]:
        return (*self._full[:index], count, *self._full[index + 1 :])

    def _host_macs(self, counts: tuple[int, ...]) -> int:
        if counts not in self._macs:
            # Dead code counts: with every unit closed the stem is dead, not free.
            self._macs[counts] = self._trace(counts, dead_code=True)[False]
        return self._macs[counts]

    def _gate_macs(self, counts: tuple[int, ...]) -> int:
        """MACs of the gates that are asked at `counts`; a score not read is dead."""
        return self._trace(counts, dead_code=False)[True]

    def _trace(self, counts: tuple[int, ...], *, dead_code: bool) -> Counter[bool]:
        model = self._model
        for (path, _, _), count in zip(self._layers, counts, strict=True):
            at_path = lambda found, _, path=path: tuple(found) == tuple(path)
            model = nnx.view(model, only=at_path, forced_count=count)
        graphdef, state = nnx.split(model)

        def run(state, example):  # the decisions are outputs, hence never dead code
            return nnx.capture(nnx.merge(graphdef, state), GateRecord)(example)

        macs: Counter[bool] = Counter()
        scopes = macs_by_scope(run, state, self._example, dead_code=dead_code)
        for scope, amount in scopes.items():
            macs["gate" in scope.split("/")] += amount
        return macs


def _gated_modules(model: nnx.Module) -> Iterator[tuple[tuple, Any]]:
    """Yields path and module wherever a module owns a gate."""
    for path, module in nnx.iter_modules(model):
        if isinstance(getattr(module, "gate", None), Gate):
            yield path, module
