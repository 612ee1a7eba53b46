"""Scores by a linear map of normalised features."""

from flax import nnx

from dynsparse.layers.scorers.base import Network, ScoreShape


class Linear(Network):
    """Linear map of the normalised features of each unit, row or example.

    Args:
        shape: The scores that the layer needs.
        rngs: Initialises from the `params` stream.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="linear"),
        ...     layers.GatedTokens,
        ...     width=8,
        ...     num_units=5,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scorer(jnp.ones((3, 5, 8))).shape
        (3, 5)
    """

    def __init__(self, shape: ScoreShape, *, rngs: nnx.Rngs):
        super().__init__(shape, hidden=None, rngs=rngs)
