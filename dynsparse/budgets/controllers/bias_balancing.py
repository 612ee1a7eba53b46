"""Bias balancing: the price moves by fixed steps, up while usage is too high."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Positive
from dynsparse.budgets.controllers.base import Controller, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class BiasBalancing(Controller):
    r"""$\lambda \leftarrow [\lambda + u \, \mathrm{sign}(e)]_+$ for an excess $e$.

    Integral control that no outlier moves by more than a step, as the biases of experts
    are balanced without a loss (Wang et al., 2024, arXiv:2408.15664); there the weight
    is taken off the scores, one per expert.

    Attributes:
        rate: $u > 0$, per update, in units of the weight.
        initial: First weight.
        largest: > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    rate: Positive

    def update(
        self, state: State, measured: Float[Array, "*axes"]
    ) -> tuple[State, Float[Array, "*axes"]]:
        """One step up or down."""
        weight = self.clip(state["weight"] + self.rate * jnp.sign(measured))
        return dict(weight=weight), weight
