"""One budget for all gates of a network, and what each layer gets of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse._internal.ranges import check
from dynsparse.gates import TopkGate, find_gates


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetSharing:
    """Learns how the layers share the budget, instead of one density for all.

    Attributes:
        temperature: Of the shares, > 0: the lower, the further they part.

    Raises:
        ValueError: If a value is out of range.
    """

    temperature: float

    def __post_init__(self):
        check(self, "temperature", self.temperature > 0, "> 0")

    def attach(self, model: nnx.Module, costs: Mapping[str, float]):
        """Gives `model` its `BudgetShares`, as the attribute `budget_shares`.

        Args:
            model: With top-k gates.
            costs: What the units of a layer cost together, by layer.

        Raises:
            ValueError: If a gate has no density, or masks that teach it nothing.
        """
        gates = find_gates(model)
        for name, gate in gates.items():
            if not (isinstance(gate, TopkGate) and gate.learns_density):
                raise ValueError(
                    f"budget_sharing: the masks of {type(gate).__name__} ({name}) have "
                    "no gradient by their density; those of soft_topk do."
                )
        if not gates:
            raise ValueError("budget_sharing: the model has no gate.")
        sharing: Any = model  # which knows nothing of it
        sharing.budget_shares = BudgetShares(costs=costs, temperature=self.temperature)


class BudgetShares(nnx.Module):
    r"""Divides one budget between the gated layers of a network.

    At level $t$ the layers get the densities $d = F((a - \theta c) / T)$ with
    $\langle c, d \rangle = t \sum_l c_l$: the projection of `ops.soft_topk_mask`, where
    the units are whole layers, $a$ is learned and $c$ are their costs, of mean 1. So
    every level spends what it says, raising it lowers no density, and 0 and 1 close and
    open everything. The layers begin alike but for their costs: at high levels the dear
    ones are fuller, at low levels the cheap ones.

    Args:
        costs: What the units of a layer cost together, by layer, > 0.
        temperature: $T > 0$.
    """

    def __init__(self, *, costs: Mapping[str, float], temperature: float):
        mean = sum(costs.values()) / len(costs)
        self.costs = tuple((name, float(c) / mean) for name, c in costs.items())
        self.temperature = temperature
        self.preferences = nnx.Param(jnp.zeros(len(costs), jnp.float32))

    def __call__(self, level: Float[Array, ""] | float) -> dict[str, Float[Array, ""]]:
        """Returns the density of each layer.

        Args:
            level: In [0, 1], of what all units cost.
        """
        costs = jnp.array([cost for _, cost in self.costs], jnp.float32)
        densities = ops.soft_topk_mask(
            self.preferences[...],
            level * costs.sum(),
            self.temperature,
            costs=costs,
        )
        return {name: densities[i] for i, (name, _) in enumerate(self.costs)}
