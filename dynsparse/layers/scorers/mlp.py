"""Scores of a network with one hidden layer."""

from flax import nnx

from dynsparse.layers.scorers.base import Network, ScoreShape


class Mlp(Network):
    """Network with one hidden layer over the features of each unit, row or example.

    Args:
        shape: The scores that the layer needs.
        hidden: Hidden units, at least 1.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `hidden` is below 1.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="mlp", hidden=4),
        ...     layers.GatedExperts,
        ...     width=8,
        ...     num_units=2,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scorer(jnp.ones((3, 5, 8))).shape  # two experts for each token
        (3, 5, 2)
    """

    def __init__(self, shape: ScoreShape, *, hidden: int, rngs: nnx.Rngs):
        super().__init__(shape, hidden=hidden, rngs=rngs)
