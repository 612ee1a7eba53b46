"""Scorers that are small networks: features to scores."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse._internal.ranges import check_density
from dynsparse.gates import Density
from dynsparse.layers.tables import look_up


class RowScorer(nnx.Module):
    """A small network over each row of features, with a score for each of its units.

    Args:
        width: Features per row.
        hidden: Hidden units; None for a linear map.
        num_units: Scores per row.
        reads_density: Whether the hidden units depend on the density too. Masks of
            different densities are not nested then.
        rngs: Initialises from the `params` stream.
    """

    forbids = False

    def __init__(
        self,
        *,
        width: int,
        hidden: int | None,
        num_units: int,
        reads_density: bool = False,
        rngs: nnx.Rngs,
    ):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        inner = width if hidden is None else hidden
        self.hidden = None if hidden is None else nnx.Linear(width, inner, rngs=rngs)
        told = reads_density and hidden is not None
        self.by_density = _DensityBias(inner) if told else None
        self.score = nnx.Linear(inner, num_units, rngs=rngs)

    def __call__(
        self, features: Float[Array, "*rows width"]
    ) -> Float[Array, "*rows units"]:
        """Scores the units of each row."""
        features = self.norm(features)
        if self.hidden is not None:
            features = self.hidden(features)
            if self.by_density is not None:
                features = self.by_density(features)
            features = jax.nn.gelu(features)
        return self.score(features)


class _DensityBias(nnx.Module):
    """Adds what it learned for the density of the gates to each hidden unit.

    Like gates it has the density twice: as a Variable, and static where a view says so.
    """

    def __init__(self, hidden: int):
        self.density = Density(jnp.float32(1))
        self.static_density: float | None = None
        self.slope = nnx.Param(jnp.zeros(hidden, jnp.float32))

    def set_view(self, density: float | None = None):
        """Lets `nnx.view(model, density=0.5)` fix the density.

        Args:
            density: In [0, 1].

        Raises:
            ValueError: If `density` is outside [0, 1].
        """
        if density is not None:
            check_density(density)
            self.static_density = density

    def __call__(self, hidden: Float[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Moves the hidden units by the distance of the density from 1."""
        static = self.static_density
        density = self.density[...] if static is None else jnp.float32(static)
        bias = (density - 1).astype(hidden.dtype) * self.slope[...].astype(hidden.dtype)
        return hidden + bias.reshape(*[1] * (hidden.ndim - 1), -1)


class UnitScorer(RowScorer):
    """A small network over the features of each unit: `RowScorer` with one score."""

    def __init__(
        self, *, width: int, hidden: int | None, rngs: nnx.Rngs, **options: Any
    ):
        super().__init__(width=width, hidden=hidden, num_units=1, rngs=rngs, **options)

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


class FieldScorer(RowScorer):
    """Scores the fields of an example from narrow embeddings of its own.

    It looks up `NARROW` numbers per field, so that the wide embeddings of closed fields
    need not be.

    Args:
        width: Codes that there are.
        hidden: Hidden units; None for a linear map.
        num_units: Fields.
        rngs: Initialises from the `params` stream.
        **options: As in `RowScorer`.
    """

    NARROW = 4  # features per code

    def __init__(
        self,
        *,
        width: int,
        hidden: int | None,
        num_units: int,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        features = self.NARROW * num_units
        super().__init__(
            width=features, hidden=hidden, num_units=num_units, rngs=rngs, **options
        )
        self.embed = nnx.Embed(width, self.NARROW, rngs=rngs)

    def __call__(self, codes: Int[Array, "batch n"]) -> Float[Array, "batch n"]:
        """Scores each field, given all of them."""
        features = look_up(self.embed.embedding[...], codes)
        batch, n = codes.shape
        return super().__call__(features.reshape(batch, n * self.NARROW))
