"""A moving average of where the weight ought to have been."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import BelowOne
from dynsparse.budgets.controllers.base import Controller, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmaThreshold(Controller):
    r"""$\lambda \leftarrow [\lambda + \max(1 - \beta, 1/t) \, e]_+$ at update $t$.

    Where $e$ is how far a threshold lies below the quantile of a batch, it becomes the
    moving average of these quantiles, the first ones averaged plainly (Expert Threshold
    routing: Sun, Liu, Wu and Sun, 2026, arXiv:2603.11535; `gates.EmaThreshold` is that
    for scores). Of any other excess it is dual ascent whose first steps are the
    largest.

    Attributes:
        decay: $\beta$, in [0, 1).
        initial: First weight.
        largest: > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    decay: BelowOne

    def init(self, shape: tuple[int, ...] = ()) -> State:
        """Adds the number of updates."""
        return super().init(shape) | dict(updates=jnp.zeros(shape, jnp.float32))

    def update(
        self, state: State, measured: Float[Array, "*axes"]
    ) -> tuple[State, Float[Array, "*axes"]]:
        """One step of the average."""
        updates = state["updates"] + 1
        gain = jnp.maximum(1 - self.decay, 1 / updates)
        weight = self.clip(state["weight"] + gain * measured)
        return dict(weight=weight, updates=updates), weight
