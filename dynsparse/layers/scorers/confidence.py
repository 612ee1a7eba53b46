"""Scores that are high where an answer is unsure."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.layers.scorers.base import Scorer, ScoreShape


class Confidence(Scorer):
    """Doubt about an answer: the higher, the more the example needs to go on.

    (threshold - largest probability) * sharpness, both learned (BranchyNet:
    Teerapittayanon et al., 2016, arXiv:1709.01686, whose threshold is set by hand and
    on the entropy).

    Args:
        shape: The scores that the layer needs.
        threshold: Initial confidence at which an example leaves, in (0, 1).
        sharpness: Initial slope, above 0.
        rngs: Not read.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="confidence", threshold=0.75, sharpness=8.0),
        ...     layers.GatedStage,
        ...     width=2,
        ...     num_units=1,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scorer(jnp.array([[0.0, 0.0], [0.0, 99.0]]))  # unsure, sure
        Array([[ 2.],
               [-2.]], dtype=float32)
    """

    axes = ("answer",)
    reads = "an answer"

    def __init__(
        self,
        shape: ScoreShape,
        *,
        threshold: float,
        sharpness: float,
        rngs: nnx.Rngs,
    ):
        super().__init__(shape, rngs=rngs)
        self.threshold = nnx.Param(jnp.float32(threshold))
        self.sharpness = nnx.Param(jnp.float32(sharpness))

    def __call__(
        self, logits: Float[Array, "batch classes"]
    ) -> Float[Array, "batch 1"]:
        """Scores each example from the answer that it has."""
        confidence = jax.nn.softmax(logits.astype(jnp.float32)).max(-1, keepdims=True)
        scores = (self.threshold - confidence) * self.sharpness
        return scores.astype(logits.dtype)
