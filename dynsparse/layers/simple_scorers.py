"""Scorers that learn next to nothing: controls, confidence, and what must stay open."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class StaticScorer(nnx.Module):
    """Learned scores that do not look at the input: static pruning, as a control.

    Args:
        num_units: Scores; an example with fewer units is refused by its layer.
        by_row: Whether each row of features decides, rather than each example.
        rngs: Initialises from the `params` stream: small, so that no two units tie.
    """

    reads_input = False

    def __init__(self, *, num_units: int, by_row: bool = False, rngs: nnx.Rngs):
        noise = jax.random.normal(rngs.params(), (num_units,), jnp.float32)
        self.scores = nnx.Param(0.01 * noise)
        self.by_row = by_row

    def __call__(self, features: Array) -> Float[Array, "batch *rows n"]:
        """Returns the same scores for every example of [batch, ...]."""
        lead = features.shape[: -1 if self.by_row else 1]
        return _for_all(self.scores[...], features, lead)


class EvenlySpacedScorer(nnx.Module):
    """Opens units that lie evenly along their axis: structure, as a control.

    The scores of units 0, 1, 2... are the fractional parts of their multiples of the
    golden ratio, which are spread out however many of them are chosen (the three-gap
    theorem: any k largest leave gaps of at most three lengths).

    Args:
        num_units: Scores; None for one of each of the second axis of the features.
        by_row: Whether each row of features decides, rather than each example.
    """

    reads_input = False
    forbids = False

    def __init__(self, *, num_units: int | None, by_row: bool = False):
        self.num_units, self.by_row = num_units, by_row

    def __call__(self, features: Array) -> Float[Array, "batch *rows n"]:
        """Returns the same scores for every example of [batch, ...]."""
        num_units = features.shape[1] if self.num_units is None else self.num_units
        units = jnp.arange(1, num_units + 1, dtype=jnp.float32)
        multiples = units * ((1 + 5**0.5) / 2)
        lead = features.shape[: -1 if self.by_row else 1]
        return _for_all(multiples % 1, features, lead)


def _for_all(
    scores: Float[Array, "n"], features: Array, lead: tuple[int, ...]
) -> Float[Array, "*lead n"]:
    if jnp.issubdtype(features.dtype, jnp.floating):
        scores = scores.astype(features.dtype)
    return jnp.broadcast_to(scores, (*lead, *scores.shape))


class MagnitudeScorer(nnx.Module):
    """The Euclidean norm of each unit's features: learns nothing, costs no MACs."""

    forbids = False

    def __call__(
        self, features: Float[Array, "*batch n width"]
    ) -> Float[Array, "*batch n"]:
        """Scores each unit, without a gradient."""
        frozen = jax.lax.stop_gradient(features)
        return jnp.linalg.norm(frozen, axis=-1)


class ConfidenceScorer(nnx.Module):
    """How unsure an answer is: the higher, the more the example needs to go on.

    (threshold - largest probability) * sharpness, both learned.

    Args:
        threshold: Initial confidence at which an example leaves, in (0, 1).
        sharpness: Initial slope, above 0.
    """

    def __init__(self, *, threshold: float = 0.9, sharpness: float = 10.0):
        self.threshold = nnx.Param(jnp.float32(threshold))
        self.sharpness = nnx.Param(jnp.float32(sharpness))

    def __call__(
        self, logits: Float[Array, "batch classes"]
    ) -> Float[Array, "batch 1"]:
        """Scores each example from the answer that it has."""
        confidence = jax.nn.softmax(logits.astype(jnp.float32)).max(-1, keepdims=True)
        scores = (self.threshold - confidence) * self.sharpness
        return scores.astype(logits.dtype)


class FirstOpen(nnx.Module):
    """Opens the first unit whatever another scorer says: a class token.

    Args:
        scorer: Of all units.
    """

    def __init__(self, scorer: nnx.Module):
        self.scorer: Any = scorer

    @property
    def forbids(self) -> bool:
        """As of the scorer of the others."""
        return getattr(self.scorer, "forbids", True)

    def __call__(self, features: Array) -> Float[Array, "*batch n"]:
        """The scores of `scorer`, infinite for the first unit."""
        return self.scorer(features).at[..., 0].set(jnp.inf)
