"""A two-layer perceptron."""

from collections.abc import Callable

import jax
from flax import nnx
from jaxtyping import Array, Float


class Mlp(nnx.Module):
    """Linear map, activation, linear map, over the last axis.

    Args:
        up: Features to hidden units.
        down: Hidden units to features.
        activation: Applied to each hidden unit alone.

    Example:
        >>> mlp = layers.Mlp.create(width=4, hidden=8, rngs=nnx.Rngs(0))
        >>> mlp(jnp.ones((2, 3, 4))).shape
        (2, 3, 4)
    """

    takes_mask = True

    def __init__(
        self, *, up: nnx.Linear, down: nnx.Linear, activation: Callable = jax.nn.gelu
    ):
        self.up = up
        self.down = down
        self.activation = activation

    @classmethod
    def create(cls, *, width: int, hidden: int, rngs: nnx.Rngs) -> "Mlp":
        """Builds a perceptron with new weights.

        Args:
            width: Features of input and output.
            hidden: Hidden units.
            rngs: Initialises from the `params` stream.
        """
        return cls(
            up=nnx.Linear(width, hidden, rngs=rngs),
            down=nnx.Linear(hidden, width, rngs=rngs),
        )

    @property
    def width(self) -> int:
        """Features of the input."""
        return self.up.in_features

    def __call__(
        self,
        x: Float[Array, "*rows width"],
        mask: Float[Array, "*rows"] | None = None,
    ) -> Float[Array, "*rows width"]:
        """Maps each row alone; `mask` is for gated ones, which skip closed rows."""
        return self.down(self.activation(self.up(x)))
