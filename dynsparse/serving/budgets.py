"""Budgets for the rungs of a ladder."""

from collections.abc import Sequence

import numpy as np
from flax import nnx
from jaxtyping import PyTree

from dynsparse.budgets import density_map, has_density
from dynsparse.costs import Prices, budget_of, largest_density


def geometric_budgets(
    model: nnx.Module,
    example: PyTree,
    *,
    rungs: int,
    lowest: float,
    least_density: float = 0.0,
) -> list[float]:
    """Returns budgets of equal ratios up to 1, for `Ladder.compile`.

    Args:
        model: Any model with gated layers.
        example: One input, with its batch axis of size 1: an array or its
            ShapeDtypeStruct, a pytree of them, or a `dynsparse.call`.
        rungs: Number of budgets, at least 2.
        lowest: Smallest budget, as a fraction of the dense MACs, in (0, 1); larger
            where `least_density` costs more.
        least_density: As in `Ladder.compile`.

    >>> dense = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    >>> example = jax.ShapeDtypeStruct((1, 4), "float32")
    >>> serving.geometric_budgets(dense, example, rungs=3, lowest=0.25)
    [0.25, 0.5, 1.0]
    """
    if has_density(model):
        prices = Prices(model, example)
        lowest = max(lowest, budget_of(prices, least_density, density_map(model)))
    return np.geomspace(min(lowest, 1.0), 1.0, rungs).tolist()


def bought_densities(
    model: nnx.Module, prices: Prices, budgets: Sequence[float], least: float
) -> Sequence[float | None]:
    """Returns the densities that budgets buy, each once, in rising order.

    Args:
        model: Any model with gated layers.
        prices: Prices of `model`.
        budgets: Fractions of the dense MACs, in (0, 1].
        least: Density below which nothing is bought, in [0, 1].

    Returns:
        Densities in [0, 1]; [None] for a model whose gates have no density.

    Raises:
        ValueError: If a budget is not in (0, 1], or below the floor of the model.
    """
    if not has_density(model):
        return [None]
    spread = density_map(model)
    bought = (largest_density(prices, budget, spread) for budget in budgets)
    return sorted({max(density, least) for density in bought})
