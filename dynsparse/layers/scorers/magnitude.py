"""Scores that are the norms of features."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.layers.scorers.base import Scorer


class Magnitude(Scorer):
    """Euclidean norm of each unit's features: learns nothing, costs no MACs.

    Args:
        shape: The scores that the layer needs.
        rngs: Not read.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="magnitude"),
        ...     layers.GatedTokens,
        ...     width=2,
        ...     num_units=2,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scorer(jnp.array([[[3.0, 4.0], [0.0, 1.0]]]))
        Array([[5., 1.]], dtype=float32)
    """

    axes = ("units",)
    reads = "units with features of their own"
    forbids = False

    def __call__(
        self, features: Float[Array, "*batch n width"]
    ) -> Float[Array, "*batch n"]:
        """Scores each unit, without a gradient."""
        return jnp.linalg.norm(jax.lax.stop_gradient(features), axis=-1)
