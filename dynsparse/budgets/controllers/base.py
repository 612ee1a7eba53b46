"""The contract of controllers: a small state machine from an excess to a weight."""

import abc
import dataclasses
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Checked, NotNegative, Positive

State = dict[str, Float[Array, "*axes"]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controller(Checked, abc.ABC):
    """Raises a weight while too much is spent, and lowers it when that is no more.

    All arithmetic is elementwise and in float32: one controller moves a weight or a
    weight per layer. Weights stay in [0, largest], so that a target out of reach winds
    nothing up: however long it lasted, the way back is that from `largest`.

    Attributes:
        initial: First weight, in [0, largest].
        largest: > 0.

    Raises:
        ValueError: If a value is out of range.
    """

    initial: NotNegative
    largest: Positive

    def __post_init__(self):
        super().__post_init__()
        self.require("initial", self.initial <= self.largest, "in [0, largest]")

    def init(self, shape: tuple[int, ...] = ()) -> State:
        """Returns the first state: `weight`, and what else a controller remembers."""
        return dict(weight=jnp.full(shape, self.initial, jnp.float32))

    @abc.abstractmethod
    def update(
        self, state: State, measured: Float[Array, "*axes"]
    ) -> tuple[State, Float[Array, "*axes"]]:
        """Returns the next state and the weight from there on.

        Args:
            state: From `init` or the last update.
            measured: What was spent beyond the target; negative where less.
        """

    def clip(self, weight: Any) -> Float[Array, "*axes"]:
        """Keeps a weight in [0, largest]."""
        return jnp.clip(weight, 0.0, self.largest)
