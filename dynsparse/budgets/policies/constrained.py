"""A target for the MACs, held by a price that a controller moves."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from dynsparse._internal.ranges import BelowOne, Count, NotNegative, PositiveFraction
from dynsparse.budgets.controllers.base import Controller
from dynsparse.budgets.policies.base import Policy, State
from dynsparse.budgets.ramp import Ramp
from dynsparse.budgets.targets import check_moves, check_target, find_shift
from dynsparse.budgets.usage import Usage
from dynsparse.gates import Gate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constrained(Policy):
    r"""Adds $\lambda (C - t)$ to the loss, with a controller that moves $\lambda$.

    $C$ is the expected budget of the batch, as a fraction of the dense MACs. What
    counts in the end is what evaluation spends, where gates decide without noise, and
    that is another number: now and then a step measures it, and the controller sees $C$
    plus the difference, while the gradient is that of $C$. Early in training all
    probabilities are near 0.5 and the evaluated cost jumps between 0 and full, so
    measuring starts at `measure_from`.

    Spending less than the target is as far from it as spending more, so that there are
    two weights of which at most one is needed: $\lambda = \lambda_+ - \lambda_-$, each
    never negative. For an upper bound there is the first alone.

    Attributes:
        target: $t$, fraction of the dense MACs, in (0, 1].
        upper_bound: Whether the target is only an upper bound.
        leak: Least gradient of a unit's price by its logit, >= 0 (`Usage.budget`).
        measure_every: Steps between measurements of what evaluation spends, each of
            which costs a forward pass; >= 1.
        measure_from: Progress of the training at which they begin, in [0, 1).
        calibrate: Whether the run ends with a shift of all scores by one number, by
            which the validation split spends the target.
        controller: Moves the weights.
        ramp: How the target falls from 1; None for at once.
        penalties: What else is added to the loss.

    Raises:
        ValueError: If a value is out of range.
    """

    target: PositiveFraction
    upper_bound: bool
    leak: NotNegative
    measure_every: Count
    measure_from: BelowOne
    calibrate: bool
    controller: Controller
    ramp: Ramp | None = None

    def check(self, gates: Mapping[str, Gate], floor: float):
        """Refuses models without gates that learn how much to open, and low targets."""
        super().check(gates, floor)
        check_moves(gates, "budget")
        check_target(self.target, floor, "budget")

    def init(self) -> State:
        """The controller's state for two weights, of more and of less, and the gap."""
        controller = self.controller.init((2,))
        controller |= dict(weight=controller["weight"].at[1].set(0.0))
        return super().init() | dict(controller=controller, gap=jnp.float32(0))

    def measure(
        self,
        step: Int[Array, ""],
        progress: Float[Array, ""],
        evaluate: Callable[[], Usage],
    ) -> Float[Array, ""]:
        """What evaluation spends on the batch, or nan where it is not time."""
        due = step % self.measure_every == 0
        due &= progress >= self.measure_from
        spent = lambda: evaluate().budget()
        return jax.lax.cond(due, spent, lambda: jnp.float32(jnp.nan))

    def price(self, state: State) -> Float[Array, ""]:
        r"""$\lambda$: what one dense pass more is worth to the loss."""
        above, below = jax.lax.stop_gradient(state["controller"]["weight"])
        return above if self.upper_bound else above - below

    def loss(
        self, state: State, usage: Usage, spent: Float[Array, ""] | None
    ) -> tuple[Float[Array, ""], State, dict[str, Float[Array, ""]]]:
        """The price of the excess, and the state with the price of the next step."""
        added, state, _ = super().loss(state, usage, spent)
        expected, price = usage.budget(self.leak), self.price(state)
        gap = state["gap"]
        if spent is not None:
            gap = jnp.where(jnp.isnan(spent), gap, spent - expected)
        target, progress = self.target, usage.progress
        excess = expected - (self.ramp(target, progress) if self.ramp else target)
        measured = jax.lax.stop_gradient(excess + jax.lax.stop_gradient(gap))
        both = jnp.stack([measured, -measured])
        controller, _ = self.controller.update(state["controller"], both)
        state |= dict(controller=controller, gap=jax.lax.stop_gradient(gap))
        metrics = dict(budget_price=price, budget_gap=gap)
        return added + price * excess, state, metrics

    def finish(self, spends: Callable[[float], float]) -> float | None:
        """The shift by which the validation split spends the target."""
        if not self.calibrate:
            return None
        return find_shift(spends, self.target, upper_bound=self.upper_bound)

    def words(
        self, at: Callable[[float], str] | None, of: Callable[[float], str]
    ) -> str:
        """The target and its MACs."""
        most = "at most " if self.upper_bound else ""
        return f"held at {most}{self.target:g} of the dense MACs: {of(self.target)}"
