"""Scorers: features to scores."""

import jax
from flax import nnx
from jaxtyping import Array, Float


class UnitScorer(nnx.Module):
    """A small network over the features of each unit.

    Args:
        width: Features per unit.
        hidden: Hidden units.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, width: int, hidden: int, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.hidden = nnx.Linear(width, hidden, rngs=rngs)
        self.score = nnx.Linear(hidden, 1, rngs=rngs)

    def __call__(
        self, features: Float[Array, "*batch n width"]
    ) -> Float[Array, "*batch n"]:
        """Scores each unit from its own features."""
        hidden = jax.nn.gelu(self.hidden(self.norm(features)))
        return self.score(hidden)[..., 0]


class PooledScorer(UnitScorer):
    """One score per example, from its features averaged over all other axes."""

    def __call__(
        self, features: Float[Array, "batch *axes width"]
    ) -> Float[Array, "batch 1"]:
        """Scores each example."""
        pooled = features.mean(tuple(range(1, features.ndim - 1)))
        return super().__call__(pooled[:, None, :])
