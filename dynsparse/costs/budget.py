"""From a budget to a density: k is chosen from the bill."""

from collections.abc import Callable, Mapping

import numpy as np

from dynsparse import ops
from dynsparse._internal.paths import stands_inside
from dynsparse.costs.prices import GatedPart, Prices

_LEVELS = 4096  # tried where layers have densities of their own


def largest_density(
    prices: Prices,
    budget: float,
    spread: Callable[[float], Mapping[str, float]] | None = None,
) -> float:
    """Largest density of the top-k gates that the budget pays for.

    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=nnx.Rngs(0))
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> own = dict(granularity="width", num_slices=4, rngs=nnx.Rngs(0, gate=1))
    >>> model = layers.gated(mlp, gate=gate, **own)
    >>> prices = costs.Prices(model, jax.ShapeDtypeStruct((1, 3, 4), "float32"))
    >>> costs.largest_density(prices, 0.8)
    0.75

    Args:
        prices: Of a model with top-k gates.
        budget: Fraction of the dense MACs allowed, in (0, 1].
        spread: From the one density to that of each layer, by layer; none may fall
            where it rises. None: all have the same.

    Returns:
        A density at which some gate opens a whole number of units. Gates of a varying
        count are priced with every unit open.

    Raises:
        ValueError: If the budget is not a fraction or below the floor, or no gate has a
            density.
    """
    if not 0 < budget <= 1:
        raise ValueError(f"a budget must be a fraction in (0, 1], got {budget}.")
    units = _units(prices)
    varying = any(part.kind == "varying" for part in prices.parts.values())
    if not units:
        raise ValueError("no gate of this model has a density to choose.")
    if spread is None:
        densities = sorted({k / n for n in units.values() for k in range(n + 1)})
    else:
        densities = [level / _LEVELS for level in range(_LEVELS + 1)]
    spent = lambda density: budget_of(prices, density, spread)
    if spent(1.0) <= budget:  # first: without a decision to make, all can be cheaper
        return 1.0
    low, high = 0, len(densities) - 1  # densities[high] is too dear
    least = spent(densities[low])
    if least > budget:
        others = "; gates of a varying count are taken as open" if varying else ""
        raise ValueError(
            f"budget {budget} is below the floor of the model: {least:.3f} of its "
            f"dense MACs are spent at density 0{others}."
        )
    while high - low > 1:
        middle = (low + high) // 2
        fits = spent(densities[middle]) <= budget
        low, high = (middle, high) if fits else (low, middle)
    return densities[low]


def budget_of(
    prices: Prices,
    density: float,
    spread: Callable[[float], Mapping[str, float]] | None = None,
) -> float:
    """Fraction of the dense MACs that a density of the top-k gates spends.

    >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=nnx.Rngs(0))
    >>> gate = dict(name="hard_topk", density=0.5)
    >>> own = dict(granularity="width", num_slices=4, rngs=nnx.Rngs(0, gate=1))
    >>> model = layers.gated(mlp, gate=gate, **own)
    >>> prices = costs.Prices(model, jax.ShapeDtypeStruct((1, 3, 4), "float32"))
    >>> round(float(costs.budget_of(prices, 0.5)), 2)
    0.5

    Args:
        prices: Of a model; gates of a varying count are priced with every unit open.
        density: In [0, 1].
        spread: As in `largest_density`.
    """
    units = _units(prices)
    levels = dict.fromkeys(units, density) if spread is None else spread(density)
    opened = {
        name: ops.num_open(level, units[name])
        for name, level in levels.items()
        if name in units
    }
    counts = {
        name: np.array([_count(part, opened, prices)])
        for name, part in prices.parts.items()
    }
    return prices.used(counts)[0] / prices.dense


def _units(prices: Prices) -> dict[str, int]:
    """Units of each decision, by layer with a density to choose."""
    return {
        name: part.num_units // part.num_rows
        for name, part in prices.parts.items()
        if part.kind == "fixed" and part.count is None
    }


def _count(part: GatedPart, opened: Mapping[str, int], prices: Prices) -> int:
    """Units of an example that are open in a layer.

    Args:
        part: The layer.
        opened: Open units of each decision, by layer with a density.
        prices: Of all layers.
    """
    if part.kind == "varying":
        return part.num_units
    rows = part.num_rows
    for name, count in opened.items():
        around = prices.parts[name]
        rows_of_it = around.num_rows == 1 and around.num_units == part.num_rows
        if stands_inside(part.name, name) and rows_of_it:
            rows = min(rows, count)  # where a token is closed, nothing decides
    if part.count is not None:
        return rows * part.count // part.num_rows
    return rows * opened[part.name]
