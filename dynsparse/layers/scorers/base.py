"""The contract of scorers, and what the scorers that are networks share."""

import abc
from typing import ClassVar, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse.layers.base.execution import Axis
from dynsparse.layers.base.tables import look_up

NARROW = 4  # features per code that the scorer of a field looks up


class ScoreShape(NamedTuple):
    """The scores that a gated layer needs.

    Attributes:
        axis: `score_axis` of the layer, which says what the scores are of.
        width: Features of the layer's input; of fields, the number of codes.
        num_units: Units that the layer's gate decides over.

    Example:
        >>> shape = layers.ScoreShape("rows", width=8, num_units=4)
        >>> layers.scorers.base.Network(shape, hidden=2, rngs=nnx.Rngs(0))(
        ...     jnp.ones((3, 5, 8))
        ... ).shape
        (3, 5, 4)
    """

    axis: Axis
    width: int
    num_units: int


class Scorer(nnx.Module, abc.ABC):
    """Maps the input of a gated layer to scores. Subclass it in a file of its own.

    Attributes:
        axes: Score axes that the scorer serves, as in `GatedLayer.score_axis`.
        reads: What the scorer reads that other axes lack, in words.
        reads_input: Whether the scores depend on the input.
        forbids: Whether a score may be `-inf`, which closes its unit at every density.

    Args:
        shape: The scores that the layer needs.
        rngs: Initialises from the `params` stream.

    Example:
        A scorer of one's own: the largest feature of each unit. As a config,
        `dict(name="package.module:Largest")`.

        >>> class Largest(layers.Scorer):
        ...     axes = ("units",)
        ...     reads = "units with features of their own"
        ...
        ...     def __call__(self, features):
        ...         return features.max(-1)
        >>> shape = layers.ScoreShape("units", width=2, num_units=3)
        >>> Largest(shape, rngs=nnx.Rngs(0))(jnp.array([[[1.0, 2], [3, 0], [0, 0]]]))
        Array([[2., 3., 0.]], dtype=float32)
    """

    axes: ClassVar[tuple[Axis, ...]] = get_args(Axis)
    reads: ClassVar[str] = "features"
    reads_input: ClassVar[bool] = True
    forbids: ClassVar[bool] = True

    def __init__(self, shape: ScoreShape, *, rngs: nnx.Rngs):
        del rngs
        self.shape = shape

    @abc.abstractmethod
    def __call__(
        self, features: Shaped[Array, "batch *axes"]
    ) -> Float[Array, "batch *units"]:
        """Scores the units of each example, or of each row where rows decide."""

    def repeated(
        self, scores: Float[Array, "n"], features: Shaped[Array, "batch *axes"]
    ) -> Float[Array, "batch *rows n"]:
        """Repeats `scores` for every example, or for every row where rows decide.

        Args:
            scores: One for each unit.
            features: What the layer reads; the scores take its type if it is a float.
        """
        lead = features.shape[: -1 if self.shape.axis == "rows" else 1]
        if jnp.issubdtype(features.dtype, jnp.floating):
            scores = scores.astype(features.dtype)
        return jnp.broadcast_to(scores, (*lead, *scores.shape))


class Network(Scorer):
    """Small network over the features of each unit, row or example.

    Where the units have features of their own, each unit is scored from them alone;
    where an example decides, from its features averaged over all other axes. Fields are
    scored from all codes of the example, by narrow embeddings of the scorer's own, so
    that the wide embeddings of closed fields need not be looked up.

    Args:
        shape: The scores that the layer needs.
        hidden: Hidden units, at least 1; None for a linear map.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `hidden` is below 1.
    """

    forbids = False

    def __init__(self, shape: ScoreShape, *, hidden: int | None, rngs: nnx.Rngs):
        super().__init__(shape, rngs=rngs)
        if hidden is not None and hidden < 1:
            raise ValueError(f"scorer: hidden must be at least 1, got {hidden}.")
        fields = shape.axis == "fields"
        width = NARROW * shape.num_units if fields else shape.width
        inner = width if hidden is None else hidden
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.hidden = None if hidden is None else nnx.Linear(width, inner, rngs=rngs)
        num_scores = 1 if shape.axis == "units" else shape.num_units
        self.score = nnx.Linear(inner, num_scores, rngs=rngs)
        self.embed = nnx.Embed(shape.width, NARROW, rngs=rngs) if fields else None

    def __call__(
        self, features: Shaped[Array, "batch *axes"]
    ) -> Float[Array, "batch *units"]:
        """Scores the units of each example, or of each row where rows decide."""
        match self.shape.axis:
            case "units":
                return self.rows(features)[..., 0]
            case "rows":
                return self.rows(features)
            case "fields" if self.embed is not None:
                narrow = look_up(self.embed.embedding[...], features)
                batch, n = features.shape
                return self.rows(narrow.reshape(batch, n * NARROW))
        return self.rows(features.mean(tuple(range(1, features.ndim - 1))))

    def rows(self, features: Float[Array, "*rows width"]) -> Float[Array, "*rows n"]:
        """Scores each row of features."""
        features = self.norm(features)
        if self.hidden is not None:
            features = jax.nn.gelu(self.shifted(self.hidden(features)))
        return self.score(features)

    def shifted(self, hidden: Float[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Hidden units before their activation; a subclass may move them."""
        return hidden
