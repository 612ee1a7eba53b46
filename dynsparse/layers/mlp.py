"""A two-layer perceptron."""

from collections.abc import Callable

import jax
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops


class Mlp(nnx.Module):
    """Linear, activation, linear, over the last axis.

    Args:
        up: Features to hidden units.
        down: Hidden units to features.
        activation: Applied to each hidden unit alone.
    """

    def __init__(
        self, *, up: nnx.Linear, down: nnx.Linear, activation: Callable = jax.nn.gelu
    ):
        self.up = up
        self.down = down
        self.activation = activation

    @classmethod
    def create(cls, *, width: int, hidden: int, rngs: nnx.Rngs) -> "Mlp":
        """A new one; `rngs` initialises from the `params` stream."""
        return cls(
            up=nnx.Linear(width, hidden, rngs=rngs),
            down=nnx.Linear(hidden, width, rngs=rngs),
        )

    def __call__(
        self,
        x: Float[Array, "*rows width"],
        mask: Float[Array, "*rows"] | None = None,
    ) -> Float[Array, "*rows width"]:
        """Maps each row alone. A gated one runs nothing for rows closed by `mask`."""
        del mask
        return self.down(self.activation(self.up(x)))

    def weighed(
        self,
        x: Float[Array, "*rows width"],
        weights: Float[Array, "*#rows hidden"],
    ) -> Float[Array, "*rows width"]:
        """The same with its hidden units weighed; those of weight 0 are nothing."""
        hidden = self.activation(ops.drop_closed(self.up(x), weights))
        return self.down(ops.weigh(hidden, weights))
