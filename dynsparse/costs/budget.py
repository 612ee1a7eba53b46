"""From a budget to a density: k is chosen from the bill."""

from collections.abc import Callable, Mapping

import numpy as np

from dynsparse.costs.prices import GatedPart, Prices
from dynsparse.gates.base import num_open

_LEVELS = 4096  # tried where layers have densities of their own


def largest_density(
    prices: Prices,
    budget: float,
    spread: Callable[[float], Mapping[str, float]] | None = None,
) -> float:
    """Largest density of the top-k gates that the budget pays for.

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
    units = {
        name: part.num_units // part.num_rows
        for name, part in prices.parts.items()
        if part.kind == "fixed" and part.count is None
    }
    if not units:
        raise ValueError("no gate of this model has a density to choose.")
    if spread is None:
        spread = lambda density: dict.fromkeys(units, density)
        densities = sorted({k / n for n in units.values() for k in range(n + 1)})
    else:
        densities = [level / _LEVELS for level in range(_LEVELS + 1)]

    def affordable(density: float) -> bool:
        by_layer = spread(density)

        def count(name: str, part: GatedPart) -> int:
            if name in units:
                return part.num_rows * num_open(by_layer[name], units[name])
            return part.num_units if part.count is None else part.count

        counts = {n: np.array([count(n, part)]) for n, part in prices.parts.items()}
        return bool(prices.used(counts)[0] <= budget * prices.dense)

    if affordable(1.0):  # first: without a decision to make, all can be cheaper
        return 1.0
    low, high = 0, len(densities) - 1  # densities[high] is too dear
    if not affordable(densities[low]):
        raise ValueError(
            f"budget {budget} is below the floor of the model: "
            f"{prices.floor / prices.dense:.3f} of its dense MACs cannot be closed."
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if affordable(densities[middle]) else (low, middle)
    return densities[low]
