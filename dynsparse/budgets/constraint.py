"""Holds what a network spends at a target while it trains."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.budgets.controllers import Controller
from dynsparse.budgets.controllers.base import State


@dataclasses.dataclass(frozen=True, kw_only=True)
class BudgetConstraint:
    r"""Adds $\lambda (C - t)$ to the loss, with a controller that moves $\lambda$.

    $C$ is the expected budget of the batch, as a fraction of the dense MACs. Spending
    less than the target is as far from it as spending more, so that there are two
    weights of which at most one is needed: $\lambda = \lambda_+ - \lambda_-$, each
    never negative. With `at_most` there is the first alone.

    Attributes:
        target: $t$, fraction of the dense MACs, in (0, 1].
        at_most: Whether to spend less is as good.
        controller: Moves the weights.

    Raises:
        ValueError: If the target is out of range.
    """

    target: float
    at_most: bool
    controller: Controller

    def __post_init__(self):
        if not 0 < self.target <= 1:
            raise ValueError(
                f"budget_constraint: target must be in (0, 1], got {self.target}."
            )

    def init(self) -> State:
        """The state of the controller, for two weights: of more and of less."""
        state = self.controller.init((2,))
        return state | dict(weight=state["weight"].at[1].set(0.0))

    def price(self, state: State) -> Float[Array, ""]:
        r"""$\lambda$: what one dense pass more is worth to the loss."""
        above, below = jax.lax.stop_gradient(state["weight"])
        return above if self.at_most else above - below

    def update(self, state: State, excess: Float[Array, ""]) -> State:
        """The state after a batch."""
        both = jax.lax.stop_gradient(jnp.stack([excess, -excess]))
        return self.controller.update(state, both)[0]


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
