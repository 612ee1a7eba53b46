"""Learned scores that are the same for every input."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse.layers.scorers.base import Scorer, ScoreShape


class Static(Scorer):
    """Learned scores that do not read the input: static pruning, as a control.

    Args:
        shape: The scores that the layer needs; an example with fewer units is refused
            by its layer.
        rngs: Initialises from the `params` stream: small, so that no two units tie.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="static"),
        ...     layers.GatedHeads,
        ...     width=8,
        ...     num_units=2,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scores = scorer(jax.random.normal(jax.random.key(0), (3, 5, 8)))
        >>> scores.shape, bool((scores == scores[0][None]).all())
        ((3, 2), True)
    """

    reads_input = False

    def __init__(self, shape: ScoreShape, *, rngs: nnx.Rngs):
        super().__init__(shape, rngs=rngs)
        noise = jax.random.normal(rngs.params(), (shape.num_units,), jnp.float32)
        self.scores = nnx.Param(0.01 * noise)

    def __call__(
        self, features: Shaped[Array, "batch *axes"]
    ) -> Float[Array, "batch *rows n"]:
        """Returns the learned scores for every example, or row where rows decide."""
        return self.repeated(self.scores[...], features)
