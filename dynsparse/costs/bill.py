"""Bill of a batch: MACs that each example cost, in total and by layer."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import nnx
from jaxtyping import ArrayLike, Int

from dynsparse._internal.call import call
from dynsparse.costs.measure import run_gates
from dynsparse.costs.prices import Prices


@dataclasses.dataclass(frozen=True)
class LayerBill:
    """MACs of one gated layer, as if the units of all other layers were open.

    Attributes:
        num_units: Units per example, over all its rows.
        dense: MACs of the host's units when all are open.
        used: MACs of the host's open units, by example.
        gate: MACs of the gate and its scorer, by example.

    >>> part = costs.LayerBill(
    ...     num_units=8, dense=800, used=np.array([200, 400]), gate=np.array([10, 10])
    ... )
    >>> float(part.used.mean() / part.dense)
    0.375
    """

    num_units: int
    dense: int
    used: Int[np.ndarray, "n"]
    gate: Int[np.ndarray, "n"]


@dataclasses.dataclass(frozen=True)
class Bill:
    """MACs (1 MAC = 2 FLOPs) that the examples of a batch cost.

    Printed, it is a table with a row per layer.

    Attributes:
        dense: MACs of any example without gates.
        floor: MACs of any example with every unit closed, the gates included.
        used: MACs of each example, the gates included.
        layers: Bill of each gated layer, by its path.

    >>> paid = costs.Bill(dense=100, floor=20, used=np.array([40, 60]), layers={})
    >>> paid.budget, paid.max
    (0.5, 60)
    """

    dense: int
    floor: int
    used: Int[np.ndarray, "n"]
    layers: dict[str, LayerBill]

    @property
    def mean(self) -> float:
        """Mean MACs over the examples."""
        return float(self.used.mean())

    @property
    def p50(self) -> float:
        """Median MACs over the examples."""
        return float(np.percentile(self.used, 50))

    @property
    def p95(self) -> float:
        """95th percentile of the MACs over the examples."""
        return float(np.percentile(self.used, 95))

    @property
    def max(self) -> int:
        """Maximum MACs over the examples."""
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
                "Some layers lie inside or behind others: each row assumes that all "
                "other units are open, so the rows do not add up to the total."
            )
        return "\n".join(lines)


def bill(
    model: nnx.Module,
    /,
    *args: Any,
    while_bound: int | None = None,
    **kwargs: Any,
) -> Bill:
    """Runs `model` on a batch without noise and counts the MACs of each example.

    Args:
        model: Any model with gated layers, in either execution.
        *args: Arguments of the model, with at least one example: arrays, pytrees of
            them, flags; `dynsparse.Call` says how the batch is told. Or one
            `dynsparse.call`, for a model that has a `while_bound` of its own.
        while_bound: Iterations to assume for each `while` loop that multiplies.
        **kwargs: Keyword arguments of the model.

    Raises:
        ValueError: If a `while` loop multiplies and there is no `while_bound`, the
            batch is empty or cannot be told, or the model fails on one example of it.

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> print(costs.bill(model, jnp.ones((2, 3, 4))))
    layer      units  dense MACs  used MACs  gate MACs
                   4         192         96          0
    not gated                  0          0
    total                    192         96
    used p50 96, p95 96, max 96; floor 0

    The arguments are the model's own:

    >>> class Shifted(nnx.Module):
    ...     def __init__(self):
    ...         self.linear = nnx.Linear(4, 8, rngs=nnx.Rngs(0))
    ...
    ...     def __call__(self, x, *, shift, train):
    ...         return dict(y=self.linear(x + shift))
    >>> x, shift = jnp.ones((2, 4)), jnp.ones((2, 1))
    >>> costs.bill(Shifted(), x, shift=shift, train=False).dense
    32
    """
    asked = call(*args, **kwargs)
    number = asked.num_examples
    masks = run_gates(model, asked)
    prices = Prices(model, asked.one_example(), while_bound=while_bound)
    return itemize(prices, masks, num_examples=number)


def itemize(
    prices: Prices, masks: Mapping[str, ArrayLike], *, num_examples: int
) -> Bill:
    """Returns the bill of decisions that were already made.

    Args:
        prices: Prices of the model that made the decisions.
        masks: Mask of each gated layer, [n, *rows, units]; positive means open.
        num_examples: n, which a model without gates leaves open.

    Raises:
        ValueError: If the mask of a layer is missing or has another number of examples
            or units than the prices, or there are no examples.

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> prices = costs.Prices(model, jax.ShapeDtypeStruct((1, 3, 4), "float32"))
    >>> masks = {name: np.array([[1, 1, 1, 0]]) for name in prices.parts}
    >>> costs.itemize(prices, masks, num_examples=1).budget
    0.75
    """
    if not num_examples:
        raise ValueError("a bill needs at least one example, got an empty batch.")
    opened = {name: np.asarray(mask) > 0 for name, mask in masks.items()}
    counts = {name: x.sum(tuple(range(1, x.ndim))) for name, x in opened.items()}
    _check(prices, opened, num_examples)
    return itemize_counts(prices, counts, num_examples=num_examples)


def itemize_counts(
    prices: Prices, counts: Mapping[str, Int[np.ndarray, "_"]], *, num_examples: int
) -> Bill:
    """Returns the bill of decisions of which only the numbers of open units are known.

    Args:
        prices: Prices of the model that made the decisions.
        counts: Open units of each gated layer, by example.
        num_examples: n, which a model without gates leaves open.

    Raises:
        ValueError: If the counts of a layer are missing.

    >>> rngs = nnx.Rngs(0, gate=1)
    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=rngs)
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> model = layers.gated(
    ...     mlp, granularity="width", num_slices=4, gate=gate, rngs=rngs
    ... )
    >>> prices = costs.Prices(model, jax.ShapeDtypeStruct((1, 3, 4), "float32"))
    >>> counts = {name: np.array([3, 1]) for name in prices.parts}
    >>> costs.itemize_counts(prices, counts, num_examples=2).budget
    0.5
    """
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


def _check(prices: Prices, masks: Mapping[str, np.ndarray], num_examples: int):
    """Raises a ValueError for decisions of other sizes than those of the prices."""
    for name, mask in masks.items():
        units = prices.parts[name].num_units if name in prices.parts else mask[:1].size
        if len(mask) not in (1, num_examples) or mask[:1].size != units:
            raise ValueError(
                f"layer {name!r} decided on {mask[:1].size} units of {len(mask)} "
                f"examples, and is priced for {units} units of {num_examples}. The "
                "first array of a call tells the batch: give one whose size no other "
                "argument has."
            )
