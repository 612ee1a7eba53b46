"""Scorers: features to scores."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import lookup
from dynsparse.layers.base import GatedLayer

_NAMES = ("mlp", "static", "magnitude")


def make_scorer(
    config: lookup.Config,
    layer: type[GatedLayer],
    *,
    width: int,
    num_units: int,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Builds the scorer that `config` names, for the score axis of `layer`.

    Args:
        config: `name`, which is "mlp" with the key `hidden`, "static" or "magnitude".
        layer: The class of the gated layer.
        width: Features of the layer's input.
        num_units: Units that the layer's gate decides over.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If the name or a key is unknown, a key is missing, or magnitudes are
            asked of units that have no features of their own.
    """
    settings = dict(config)
    name = settings.pop("name")
    if name not in _NAMES:
        raise ValueError(
            f"scorer: unknown name {name!r}; accepted: {', '.join(_NAMES)}"
        )
    wanted = {"hidden"} if name == "mlp" else set()
    if settings.keys() != wanted:
        raise ValueError(
            f"scorer: {name} takes the keys {sorted(wanted)}, got {sorted(settings)}"
        )
    if name == "static":
        by_row = layer.score_axis == "rows"
        return StaticScorer(num_units=num_units, by_row=by_row, rngs=rngs)
    if name == "magnitude":
        if layer.score_axis != "units":
            raise ValueError(
                f"scorer: magnitude needs units with features of their own, which a "
                f"unit of {layer.__name__} ({layer.unit}) has not."
            )
        return MagnitudeScorer()
    shared: Any = dict(width=width, hidden=settings["hidden"], rngs=rngs)
    if layer.score_axis == "units":
        return UnitScorer(**shared)
    kind = PooledScorer if layer.score_axis == "example" else RowScorer
    return kind(num_units=num_units, **shared)


class RowScorer(nnx.Module):
    """A small network over each row of features, with a score for each of its units.

    Args:
        width: Features per row.
        hidden: Hidden units.
        num_units: Scores per row.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, width: int, hidden: int, num_units: int, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.hidden = nnx.Linear(width, hidden, rngs=rngs)
        self.score = nnx.Linear(hidden, num_units, rngs=rngs)

    def __call__(
        self, features: Float[Array, "*rows width"]
    ) -> Float[Array, "*rows units"]:
        """Scores the units of each row."""
        return self.score(jax.nn.gelu(self.hidden(self.norm(features))))


class UnitScorer(RowScorer):
    """A small network over the features of each unit.

    Args:
        width: Features per unit.
        hidden: Hidden units.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, width: int, hidden: int, rngs: nnx.Rngs):
        super().__init__(width=width, hidden=hidden, num_units=1, rngs=rngs)

    def __call__(
        self, features: Float[Array, "*batch n width"]
    ) -> Float[Array, "*batch n"]:
        """Scores each unit from its own features."""
        return super().__call__(features)[..., 0]


class PooledScorer(RowScorer):
    """Scores for each example, from its features averaged over all other axes."""

    def __call__(
        self, features: Float[Array, "batch *axes width"]
    ) -> Float[Array, "batch units"]:
        """Scores the units of each example."""
        return super().__call__(features.mean(tuple(range(1, features.ndim - 1))))


class StaticScorer(nnx.Module):
    """Learned scores that do not look at the input: static pruning, as a control.

    Args:
        num_units: Scores.
        by_row: Whether each row of features decides, rather than each example.
        rngs: Initialises from the `params` stream: small, so that no two units tie.
    """

    def __init__(self, *, num_units: int, by_row: bool = False, rngs: nnx.Rngs):
        noise = jax.random.normal(rngs.params(), (num_units,))
        self.scores = nnx.Param(0.01 * noise)
        self.by_row = by_row

    def __call__(
        self, features: Float[Array, "batch *axes"]
    ) -> Float[Array, "batch *rows n"]:
        """Returns the same scores for every example."""
        scores = self.scores[...].astype(features.dtype)
        lead = features.shape[: -1 if self.by_row else 1]
        return jnp.broadcast_to(scores, (*lead, *scores.shape))


class MagnitudeScorer(nnx.Module):
    """The Euclidean norm of each unit's features: learns nothing, costs no MACs."""

    def __call__(
        self, features: Float[Array, "*batch n width"]
    ) -> Float[Array, "*batch n"]:
        """Scores each unit, without a gradient."""
        frozen = jax.lax.stop_gradient(features)
        return jnp.linalg.norm(frozen, axis=-1)
