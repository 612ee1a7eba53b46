"""A proportional-integral controller of the multiplier of a constraint."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import BelowOne, NotNegative, Positive
from dynsparse.budgets.controllers.base import Controller, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class PiController(Controller):
    r"""Dual ascent that also answers to the change of the excess, which damps it.

    $\xi_t = \nu \xi_{t-1} + (1 - \nu) e_t$ and
    $\lambda_{t+1} = [\lambda_t + \kappa_I e_t + \kappa_P (\xi_t - \xi_{t-1})]_+$ with
    $\xi_0 = e_0$ (Sohrabi et al., 2024, arXiv:2406.04558). $\kappa_P = 0$ is dual
    ascent. Differs from the paper: far on the right side of the target the multiplier
    is 0 at once, whatever was gathered before; near it, it is not, since there is where
    it belongs.

    Attributes:
        integral: $\kappa_I > 0$, per update.
        proportional: $\kappa_P \ge 0$.
        smoothing: $\nu$, of the excess, in [0, 1).
        slack: Excess below minus this resets the multiplier; > 0.
        initial: First weight.
        largest: > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    integral: Positive
    proportional: NotNegative
    smoothing: BelowOne
    slack: Positive

    def init(self, shape: tuple[int, ...] = ()) -> State:
        """Adds the smoothed excess, nan before there was one."""
        return super().init(shape) | dict(smooth=jnp.full(shape, jnp.nan, jnp.float32))

    def update(
        self, state: State, measured: Float[Array, "*axes"]
    ) -> tuple[State, Float[Array, "*axes"]]:
        """One step by the excess and by its change."""
        before = jnp.where(jnp.isnan(state["smooth"]), measured, state["smooth"])
        smooth = self.smoothing * before + (1 - self.smoothing) * measured
        step = self.integral * measured + self.proportional * (smooth - before)
        weight = self.clip(state["weight"] + step)
        weight = jnp.where(measured < -self.slack, 0.0, weight)
        return dict(weight=weight, smooth=smooth), weight
