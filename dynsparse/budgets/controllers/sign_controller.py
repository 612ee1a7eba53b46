"""A controller that knows only whether there is too much."""

import dataclasses
from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Accepts, NotNegative
from dynsparse.budgets.controllers.base import Controller, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignController(Controller):
    r"""$\lambda \leftarrow \lambda \alpha^{\mathrm{sign}(e)}$ for an excess $e$.

    Free of the scale of the excess and of the weight (ReMoE: Wang et al., 2024,
    arXiv:2412.14711). Differs from the paper: nothing moves while $|e|$ is within a
    band.

    Attributes:
        factor: $\alpha > 1$; 1.2 in the paper.
        band: Half the width of the band, >= 0, in units of the excess.
        smallest: Lowest weight, in (0, initial]: a product never leaves 0.
        initial: First weight.
        largest: > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    factor: Annotated[float, Accepts(lambda x: x > 1, "> 1")]
    band: NotNegative
    smallest: float

    def __post_init__(self):
        super().__post_init__()
        accepted = "in (0, initial]"
        self.require("smallest", 0 < self.smallest <= self.initial, accepted)

    def update(
        self, state: State, measured: Float[Array, "*axes"]
    ) -> tuple[State, Float[Array, "*axes"]]:
        """One factor up or down."""
        sign = jnp.where(jnp.abs(measured) > self.band, jnp.sign(measured), 0.0)
        moved = state["weight"] * jnp.float32(self.factor) ** sign
        weight = jnp.maximum(self.clip(moved), self.smallest)
        return dict(weight=weight), weight
