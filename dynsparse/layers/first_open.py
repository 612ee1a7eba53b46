"""A unit that stays open whatever its scorer says."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped


class FirstOpen(nnx.Module):
    """Opens the first unit, such as a class token, whatever another scorer says.

    Args:
        scorer: Scores all units.

    Example:
        >>> scorer = layers.NestedScorer(num_units=3)
        >>> layers.FirstOpen(scorer)(jnp.ones((1, 3, 2)))
        Array([[inf,  2.,  1.]], dtype=float32)
    """

    def __init__(self, scorer: nnx.Module):
        self.scorer: Any = scorer

    @property
    def forbids(self) -> bool:
        """Whether the scorer of all units may forbid one."""
        return getattr(self.scorer, "forbids", True)

    def __call__(
        self, features: Shaped[Array, "batch *axes"]
    ) -> Float[Array, "*batch n"]:
        """Scores all units; the score of the first is infinite."""
        return self.scorer(features).at[..., 0].set(jnp.inf)
