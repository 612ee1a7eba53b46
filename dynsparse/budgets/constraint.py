"""Holds what a network spends at a target while it trains."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import check
from dynsparse.budgets.controllers import Controller

State = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetConstraint:
    r"""Adds $\lambda (C - t)$ to the loss, with a controller that moves $\lambda$.

    $C$ is the expected budget of the batch, as a fraction of the dense MACs. What
    counts in the end is what evaluation spends, where gates decide without noise, and
    that is another number: now and then a step looks, and the controller sees $C$ plus
    the difference, while the gradient is that of $C$. At first, while all probabilities
    are close to a half, that number is all or nothing, hence `look_from`.

    Spending less than the target is as far from it as spending more, so that there are
    two weights of which at most one is needed: $\lambda = \lambda_+ - \lambda_-$, each
    never negative. With `at_most` there is the first alone.

    Attributes:
        target: $t$, fraction of the dense MACs, in (0, 1].
        at_most: Whether to spend less is as good.
        leak: Least gradient of a unit's price by its logit, >= 0 (`Usage.budget`).
        look_every: Steps between looks at what evaluation spends, each of which costs a
            forward pass; >= 1.
        calibrate: Whether the scores move at the end, all by one number, until the
            validation split spends the target (`training.calibration`).
        look_from: Progress of the training at which that begins, in [0, 1).
        controller: Moves the weights.

    Raises:
        ValueError: If a value is out of range.
    """

    target: float
    at_most: bool
    leak: float
    look_every: int
    look_from: float
    calibrate: bool
    controller: Controller

    def __post_init__(self):
        check(self, "leak", self.leak >= 0, ">= 0")
        check(self, "look_from", 0 <= self.look_from < 1, "in [0, 1)")
        check(self, "look_every", self.look_every >= 1, ">= 1")
        check(self, "target", 0 < self.target <= 1, "in (0, 1]")

    def init(self) -> State:
        """The controller's state for two weights, of more and of less, and the gap."""
        state = self.controller.init((2,))
        state |= dict(weight=state["weight"].at[1].set(0.0))
        return dict(controller=state, gap=jnp.float32(0))

    def price(self, state: State) -> Float[Array, ""]:
        r"""$\lambda$: what one dense pass more is worth to the loss."""
        above, below = jax.lax.stop_gradient(state["controller"]["weight"])
        return above if self.at_most else above - below

    def update(
        self, state: State, excess: Float[Array, ""], gap: Float[Array, ""]
    ) -> State:
        """The state after a batch.

        Args:
            state: Before it.
            excess: $C - t$.
            gap: What evaluation spends beyond $C$; `state["gap"]` where none looked.
        """
        measured = jax.lax.stop_gradient(excess + gap)
        both = jnp.stack([measured, -measured])
        controller, _ = self.controller.update(state["controller"], both)
        return dict(controller=controller, gap=gap)


def check_target(target: float, floor: float, name: str):
    """Raises a ValueError unless a model whose gates close can meet the target.

    Args:
        target: Fraction of the dense MACs.
        floor: Fraction that no gate closes.
        name: Of the section that asks for it.
    """
    if target < floor:
        raise ValueError(
            f"{name}: target {target} is below the floor of the model: {floor:.3f} of "
            "its dense MACs cannot be closed."
        )
