"""Gradient ascent on the multiplier of a constraint."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Positive
from dynsparse.budgets.controllers.base import Controller, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class DualAscent(Controller):
    r"""$\lambda \leftarrow [\lambda + \eta e]_+$ for an excess $e$.

    With `restart` the multiplier is 0 again as soon as the constraint holds: what it
    gathered before does not push past the target (Gallego-Posada et al., 2022,
    arXiv:2208.04425).

    Attributes:
        rate: $\eta > 0$, per update.
        restart: Whether feasibility resets the multiplier.
        initial: First weight.
        largest: > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    rate: Positive
    restart: bool

    def update(
        self, state: State, measured: Float[Array, "*axes"]
    ) -> tuple[State, Float[Array, "*axes"]]:
        """One step up or down."""
        weight = self.clip(state["weight"] + self.rate * measured)
        if self.restart:
            weight = jnp.where(measured <= 0, 0.0, weight)
        return dict(weight=weight), weight
