"""What each layer of a network gets of one budget."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops


class BudgetShares(nnx.Module):
    r"""Divides one budget between the gated layers of a network.

    At density $t$ of the network its layers get $d = F((a - \theta c) / T)$ with
    $\langle c, d \rangle = t \sum_l c_l$: the projection of `ops.soft_topk_mask`, where
    the units are whole layers, $a$ is learned and $c$ are their costs, of mean 1. So
    every density spends what it says, raising it lowers that of no layer, and 0 and 1
    close and open everything. The layers begin alike but for their costs: at high
    densities the expensive ones are fuller, at low densities the cheap ones.

    >>> shares = budgets.BudgetShares(costs={"a": 1.0, "b": 3.0}, temperature=1.0)
    >>> {name: round(float(d), 2) for name, d in shares(0.5).items()}
    {'a': 0.5, 'b': 0.5}

    Args:
        costs: What the units of a layer cost together, by layer, > 0.
        temperature: $T > 0$.
    """

    def __init__(self, *, costs: Mapping[str, float], temperature: float):
        mean = sum(costs.values()) / len(costs)
        self.costs = tuple((name, float(c) / mean) for name, c in costs.items())
        self.temperature = temperature
        self.preferences = nnx.Param(jnp.zeros(len(costs), jnp.float32))

    def __call__(
        self, density: Float[Array, ""] | float
    ) -> dict[str, Float[Array, ""]]:
        """Returns the density of each layer.

        Args:
            density: Of the network, in [0, 1]: the fraction of what all units cost.
        """
        costs = jnp.array([cost for _, cost in self.costs], jnp.float32)
        densities = ops.soft_topk_mask(
            self.preferences[...],
            density * costs.sum(),
            self.temperature,
            costs=costs,
        )
        return {name: densities[i] for i, (name, _) in enumerate(self.costs)}


def shadow_prices(
    slopes: Mapping[str, Float[Array, ""]],
    prices: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, Float[Array, ""]]:
    r"""What one dense pass more would take off the loss, spent in each layer.

    $-\frac{\partial L}{\partial d_l} / c_l$ for its density $d_l$ and what its units
    cost together, as a fraction of the dense MACs. Where shares are at their best, the
    layers that are neither closed nor full have the same price.

    >>> ends = np.array([0.0, 1.0])
    >>> slopes = {"a": jnp.float32(-0.5)}
    >>> found = budgets.shadow_prices(slopes, {"a": (ends, 0.25 * ends)})
    >>> float(found["shadow_price/a"])
    2.0

    Args:
        slopes: Gradient of the loss by the densities of the layers, summed over the
            passes.
        prices: As of `Usage`.
    """
    return {
        f"shadow_price/{name}": -slope / prices[name][1][-1]
        for name, slope in slopes.items()
    }
