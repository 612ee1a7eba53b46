"""What a training step may spend: its densities, its constraint, its prices."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse._internal.ranges import called
from dynsparse.budgets import (
    Usage,
    check_target,
    find_shares,
    has_density,
    set_density,
)
from dynsparse.budgets.penalties.base import TargetPenalty
from dynsparse.budgets.penalties.mac_target import MacTarget
from dynsparse.costs import PriceCurve, Prices
from dynsparse.gates import GateOutput, deterministic_output, find_gates
from dynsparse.training.settings import Settings

Decisions = dict[str, GateOutput]
Metrics = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Budgeting:
    """The part of a step that knows of budgets.

    Attributes:
        settings: Of the run.
        prices: Of each layer, as `Usage` has them.
        floor: Likewise.
        shared: Whether the layers share one budget by `BudgetShares`.
    """

    settings: Settings
    prices: Mapping[str, PriceCurve]
    floor: float
    shared: bool

    @classmethod
    def create(
        cls, model: nnx.Module, settings: Settings, prices: Prices
    ) -> "Budgeting":
        """Returns the budgeting of a model.

        Raises:
            ValueError: If a target is asked of a model without gates or of gates that
                nothing moves, or cannot be met, or densities are drawn for a model
                without one to choose.
        """
        if settings.density_sampling is not None and not has_density(model):
            raise ValueError(
                "density_sampling: no gate of the model has a density; accepted: None."
            )
        floor, constraint = prices.floor / prices.dense, settings.budget_constraint
        if constraint is not None:
            if not prices.parts:
                raise ValueError("budget_constraint: the model has no gate.")
            check_target(constraint.target, floor, called(constraint))
            _check_moves(model, called(constraint))
        for penalty in settings.penalties:
            if isinstance(penalty, TargetPenalty):
                _check_moves(model, called(penalty))
            if isinstance(penalty, MacTarget):
                check_target(penalty.target, floor, called(penalty))
        shared = find_shares(model) is not None
        return cls(settings, prices.layer_cost_curves(), floor, shared)

    @property
    def passes(self) -> int:
        """Densities of a step."""
        drawn = self.settings.density_sampling
        return 1 if drawn is None else drawn.passes

    def init(self) -> Metrics:
        """State of the constraint before the first step."""
        constraint = self.settings.budget_constraint
        return {} if constraint is None else constraint.init()

    def density_offsets(self) -> dict[str, Float[Array, ""]]:
        """Zeros by layer, whose gradient is that of the densities."""
        return {name: jnp.float32(0) for name in self.prices if self.shared}

    def set_density(
        self,
        model: nnx.Module,
        key: jax.Array,
        index: int,
        progress: Float[Array, ""],
        density_offsets: Mapping[str, Float[Array, ""]],
    ):
        """Gives `model` the density of one pass, in place.

        Args:
            model: Of this pass.
            key: Of the step.
            index: Of the pass.
            progress: Share of the training steps that are done.
            density_offsets: As in `density_offsets`.
        """
        drawn = self.settings.density_sampling
        if drawn is not None:
            density = drawn(key)[index % drawn.passes]
            set_density(model, self._ramped(density, progress), density_offsets)

    def usage(self, decisions: Decisions, progress: Float[Array, ""] | float) -> Usage:
        """The decisions of a batch beside their prices."""
        return Usage(
            decisions=decisions,
            prices=self.prices,
            floor=self.floor,
            progress=progress,
        )

    def measure_eval_cost(
        self,
        step: Int[Array, ""],
        progress: Float[Array, ""],
        decide: Callable[[], Decisions],
    ) -> Float[Array, ""] | None:
        """What evaluation would spend on a batch, or nan where it is not time.

        Args:
            step: Number of the step.
            progress: Share of the training steps that are done.
            decide: Returns the decisions of evaluation.
        """
        constraint = self.settings.budget_constraint
        if constraint is None:
            return None

        def spent():
            opened = jax.tree.map(
                lambda d: deterministic_output((d.mask > 0).astype(jnp.float32)[None]),
                decide(),
                is_leaf=lambda x: isinstance(x, GateOutput),
            )
            return self.usage(opened, 0.0).budget()

        due = step % constraint.look_every == 0
        due &= progress >= constraint.look_from
        return jax.lax.cond(due, spent, lambda: jnp.float32(jnp.nan))

    def constrain(
        self, state: Metrics, loss: Float[Array, ""], usage: Usage, spent: Any
    ) -> tuple[Float[Array, ""], Metrics, Metrics]:
        """Adds to a loss what the budget costs.

        Args:
            state: Of the constraint.
            loss: Of the batch.
            usage: What it opened.
            spent: From `measure_eval_cost`.

        Returns:
            The loss, the next state of the constraint, and its metrics.
        """
        constraint = self.settings.budget_constraint
        if constraint is None:
            return loss, state, {}
        expected, price = usage.budget(constraint.leak), constraint.price(state)
        gap = jnp.where(jnp.isnan(spent), state["gap"], spent - expected)
        excess = expected - self._ramped(constraint.target, usage.progress)
        state = constraint.update(state, excess, jax.lax.stop_gradient(gap))
        metrics = dict(budget_price=price, budget_gap=gap)
        return loss + price * excess, state, metrics

    def shadow_prices(self, slopes: Mapping[str, Float[Array, ""]]) -> Metrics:
        r"""What one dense pass more would take off the loss, spent in each layer.

        $-\frac{\partial L}{\partial d_l} / c_l$ for its density $d_l$ and what all its
        units cost, as a fraction of the dense MACs. Where shares are at their best, the
        layers that are neither closed nor full have the same price.

        Args:
            slopes: Gradient of the loss by the densities of the layers, summed over the
                passes.
        """
        return {
            f"shadow_price/{name}": -slope / self.prices[name].costs[-1]
            for name, slope in slopes.items()
        }

    def _ramped(self, value, progress):
        ramp = self.settings.density_ramp
        return value if ramp is None else ramp(value, progress)


def _check_moves(model: nnx.Module, name: str):
    """Raises a ValueError where every gate opens what its own keys say."""
    gates = find_gates(model).values()
    if not any(gate.count == "varying" and not gate.random for gate in gates):
        kinds = ", ".join(sorted({type(gate).__name__ for gate in gates}))
        raise ValueError(
            f"{name}: moves gates of a varying count that learn, such as "
            f"gumbel_sigmoid; those of this model are {kinds or 'none'}. A top-k gate "
            "meets a budget by its density."
        )
