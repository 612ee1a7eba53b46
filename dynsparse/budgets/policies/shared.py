"""One budget for the whole network, of which the layers learn their shares."""

import dataclasses
from collections.abc import Mapping
from typing import Any as Anything

from flax import nnx

from dynsparse._internal.ranges import Positive
from dynsparse.budgets.policies.any import Any
from dynsparse.budgets.shares import BudgetShares
from dynsparse.gates import Gate, TopkGate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shared(Any):
    """Draws the density of the network, which learned shares divide between layers.

    Attributes:
        temperature: Of the shares, > 0: the lower, the further they part.
        sampling: Draws the densities.
        distillation: What the first pass of a step teaches the others; None for
            nothing.
        ramp: How the densities fall to those that are drawn; None for at once.
        penalties: What is added to the loss.

    Raises:
        ValueError: If a value is not accepted.
    """

    temperature: Positive

    def gate_keys(self, gate: type[Gate]) -> dict[str, float]:
        """As of `Any`, for gates whose masks have a gradient by the density."""
        if not (issubclass(gate, TopkGate) and gate.learns_density):
            raise ValueError(
                f"budget: the masks of {gate.__name__} have no gradient by their "
                "density, from which shares could be learned; those of soft_topk do."
            )
        return super().gate_keys(gate)

    def attach(self, model: nnx.Module, costs: Mapping[str, float]):
        """Gives `model` its `BudgetShares`, as the attribute `budget_shares`."""
        if not costs:
            raise ValueError("budget: the model has no gate to share a budget.")
        sharing: Anything = model  # which knows nothing of it
        sharing.budget_shares = BudgetShares(costs=costs, temperature=self.temperature)
