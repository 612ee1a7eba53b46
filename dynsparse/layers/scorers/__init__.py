"""Scorers: features to scores. One scorer per file; the file's name is its name."""

from flax import nnx

from dynsparse._internal import registry
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.scorers.base import Scorer, ScoreShape

__all__ = ["ScoreShape", "Scorer", "available", "find", "make_scorer"]


def available() -> list[str]:
    """Names of the scorers of this library.

    Example:
        >>> layers.scorers.available()
        ['any_budget', 'confidence', 'evenly_spaced', 'linear', 'magnitude', 'mlp',
         'static']
    """
    return registry.available(__name__)


def find(name: str) -> type[Scorer]:
    """Finds the class of the scorer `name`, one of `available()` or a path.

    Args:
        name: A file of this package, or "package.module:Class".

    Raises:
        ValueError: If there is no such scorer.

    Example:
        >>> layers.scorers.find("magnitude").axes
        ('units',)
    """
    return registry.find(__name__, name)


def make_scorer(
    config: registry.Config,
    layer: type[GatedLayer],
    *,
    width: int,
    num_units: int,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Builds the scorer that `config` names, for the units of a gated layer.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that scorer's constructor.
        layer: Class of the gated layer.
        width: Features of the layer's input; of fields, the number of codes.
        num_units: Units that the layer's gate decides over.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If the name or a key is unknown, a key is missing, a value is out of
            range, or the units of `layer` do not have what the scorer reads.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="mlp", hidden=4),
        ...     layers.GatedHeads,
        ...     width=8,
        ...     num_units=2,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scorer(jnp.ones((3, 5, 8))).shape  # three examples of five tokens
        (3, 2)
    """
    kind, keys = registry.check(__name__, config, ("shape", "rngs"))
    if layer.score_axis not in kind.axes:
        raise ValueError(
            f"scorer: {config['name']} reads {kind.reads}, but the units of "
            f"{layer.__name__} ({layer.unit}) have none."
        )
    shape = ScoreShape(layer.score_axis, width, num_units)
    return kind(shape=shape, rngs=rngs, **keys)
