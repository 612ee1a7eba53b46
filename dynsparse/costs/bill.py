"""The bill: what each example of a batch cost, by layer, and what it would have."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, ArrayLike, Int, Shaped

from dynsparse.costs.measure import run_gates
from dynsparse.costs.prices import Prices


@dataclasses.dataclass(frozen=True)
class LayerBill:
    """One gated layer's share, in MACs per example, as if all other units were open.

    Attributes:
        num_units: Units per example, over all the rows that decide.
        dense: Host MACs that its units cost when all are open.
        used: Host MACs that they cost, per example.
        gate: MACs of deciding, per example.
    """

    num_units: int
    dense: int
    used: Int[np.ndarray, "n"]
    gate: Int[np.ndarray, "n"]


@dataclasses.dataclass(frozen=True)
class Bill:
    """MACs (1 MAC = 2 FLOPs) that the examples of a batch cost.

    Attributes:
        dense: Per example, without any gate.
        floor: Per example, what no gate can close.
        used: Per example, what it cost, the gates included.
        layers: The share of each gated layer, by its path.
    """

    dense: int
    floor: int
    used: Int[np.ndarray, "n"]
    layers: dict[str, LayerBill]

    @property
    def mean(self) -> float:
        """Mean MACs per example."""
        return float(self.used.mean())

    @property
    def p50(self) -> float:
        """Median MACs per example."""
        return float(np.percentile(self.used, 50))

    @property
    def p95(self) -> float:
        """95th percentile of the MACs per example."""
        return float(np.percentile(self.used, 95))

    @property
    def max(self) -> int:
        """MACs of the dearest example."""
        return int(self.used.max())

    @property
    def budget(self) -> float:
        """Mean MACs as a fraction of the dense MACs."""
        return self.mean / self.dense

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("layer", "units", "dense MACs", "used MACs", "gate MACs")
        ]
        gated = 0
        for name, layer in self.layers.items():
            gated += layer.dense
            used, gate = layer.used.mean(), layer.gate.mean()
            cells = (layer.num_units, layer.dense, used, gate)
            rows.append((name, *(f"{cell:,.0f}" for cell in cells)))
        rest, parts = self.dense - gated, self.layers.values()
        spent = rest + sum((part.used + part.gate).mean() for part in parts)
        adds_up = abs(spent - self.mean) < 0.5
        if adds_up:
            rows.append(("not gated", "", f"{rest:,.0f}", f"{rest:,.0f}", ""))
        rows.append(("total", "", f"{self.dense:,.0f}", f"{self.mean:,.0f}", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        spread = f"used p50 {self.p50:,.0f}, p95 {self.p95:,.0f}, max {self.max:,}"
        lines.append(f"{spread}; floor {self.floor:,}")
        if not adds_up:
            lines.append(
                "Layers stand inside of others or behind them: each row is as if all "
                "others were open, and the rows do not add up."
            )
        return "\n".join(lines)


def bill(
    model: nnx.Module,
    batch: Shaped[Array, "n *shape"],
    *,
    while_bound: int | None = None,
) -> Bill:
    """Runs `model` on `batch` without noise and says what each example cost.

    Args:
        model: Any model with gated layers, in either execution.
        batch: Its input.
        while_bound: Iterations to assume of each `while` loop that multiplies.

    Raises:
        ValueError: If a `while` loop multiplies and there is no `while_bound`, or the
            batch is empty.
    """
    example = jax.ShapeDtypeStruct((1, *batch.shape[1:]), batch.dtype)
    masks = run_gates(model, batch)
    prices = Prices(model, example, while_bound=while_bound)
    return itemize(prices, masks, num_examples=len(batch))


def itemize(
    prices: Prices, masks: Mapping[str, ArrayLike], *, num_examples: int
) -> Bill:
    """Prices decisions that were already made.

    Args:
        prices: Of the model that made them.
        masks: By layer, [n, *rows, units]; a unit is open where its mask is positive.
        num_examples: n, which a model without gates does not tell.

    Raises:
        ValueError: If the masks of a layer are missing, or there are no examples.
    """
    if not num_examples:
        raise ValueError("a bill needs one example at least, got a batch of none.")
    opened = {name: np.asarray(mask) > 0 for name, mask in masks.items()}
    counts = {name: x.sum(tuple(range(1, x.ndim))) for name, x in opened.items()}
    used = np.broadcast_to(prices.used(counts), (num_examples,))
    layers = {
        name: LayerBill(
            num_units=part.num_units,
            dense=part.closed,
            used=part.closed - prices.saved(name, counts[name]),
            gate=part.gate_macs(counts[name]),
        )
        for name, part in prices.parts.items()
    }
    return Bill(prices.dense, prices.floor, used, layers)
