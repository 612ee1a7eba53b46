"""Scorers: features to scores."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import lookup

_NAMES = ("mlp", "static", "magnitude")


def make_scorer(
    config: lookup.Config, *, width: int, num_units: int, rngs: nnx.Rngs
) -> nnx.Module:
    """Builds the scorer that `config` names.

    Args:
        config: `name`, which is "mlp" with the key `hidden`, "static" or "magnitude".
        width: Features of the layer's input.
        num_units: Units per example; where it is 1, features are averaged first.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If the name or a key is unknown, or a key is missing.
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
        return StaticScorer(num_units=num_units, rngs=rngs)
    if name == "magnitude":
        return MagnitudeScorer()
    kind = PooledScorer if num_units == 1 else UnitScorer
    return kind(width=width, hidden=settings["hidden"], rngs=rngs)


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


class StaticScorer(nnx.Module):
    """Learned scores that do not look at the input: static pruning, as a control.

    Args:
        num_units: Scores.
        rngs: Initialises from the `params` stream: small, so that no two units tie.
    """

    def __init__(self, *, num_units: int, rngs: nnx.Rngs):
        noise = jax.random.normal(rngs.params(), (num_units,))
        self.scores = nnx.Param(0.01 * noise)

    def __call__(
        self, features: Float[Array, "batch *axes"]
    ) -> Float[Array, "batch n"]:
        """Returns the same scores for every example."""
        scores = self.scores[...].astype(features.dtype)
        return jnp.broadcast_to(scores, (features.shape[0], *scores.shape))


class MagnitudeScorer(nnx.Module):
    """The Euclidean norm of each unit's features: learns nothing, costs no MACs."""

    def __call__(
        self, features: Float[Array, "*batch n width"]
    ) -> Float[Array, "*batch n"]:
        """Scores each unit, without a gradient."""
        frozen = jax.lax.stop_gradient(features)
        return jnp.linalg.norm(frozen, axis=-1)
