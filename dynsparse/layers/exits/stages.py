"""Early exits: the rest of the network runs for the examples that need it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate
from dynsparse.layers.base import branches
from dynsparse.layers.rows.open_examples import OpenExamples


class Answered(NamedTuple):
    """What a stage of a network leaves for the next.

    Attributes:
        features: Output of the stage.
        logits: Its answer.
        alive: Examples that have not left yet, in [0, 1].

    Example:
        >>> before = layers.Answered(jnp.ones((2, 4)), jnp.ones((2, 3)), jnp.ones(2))
        >>> before.logits.shape
        (2, 3)
    """

    features: Float[Array, "batch *axes"]
    logits: Float[Array, "batch classes"]
    alive: Float[Array, "batch"]


class Stage(nnx.Module):
    """A part of a network, and an answer by what it gives.

    Args:
        body: Maps features to features.
        exit: Maps the features to [batch, num_classes].
        num_classes: Number of logits.

    Example:
        >>> rngs = nnx.Rngs(0)
        >>> body, exit = nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)
        >>> stage = layers.Stage(body, exit, num_classes=3)
        >>> features, logits = stage.answer(jnp.ones((2, 4)))
        >>> logits.shape
        (2, 3)
    """

    def __init__(self, body: nnx.Module, exit: nnx.Module, *, num_classes: int):
        self.body: Any = body
        self.exit: Any = exit
        self.num_classes = num_classes

    @property
    def width(self) -> int:
        """Number of logits, of the answer before: what a gate reads."""
        return self.num_classes

    def answer(
        self, features: Float[Array, "batch *before"]
    ) -> tuple[Float[Array, "batch *axes"], Float[Array, "batch classes"]]:
        """Runs the stage and its answer."""
        features = self.body(features)
        return features, self.exit(features)

    def __call__(self, before: Answered) -> Answered:
        """Runs the stage; its answer takes the place of the one before."""
        features, logits = self.answer(before.features)
        return Answered(features, logits, before.alive)


class Stages(nnx.Module):
    """A network in stages with an answer after each; gives the last one.

    Args:
        stages: Run in this order.

    Example:
        >>> rngs = nnx.Rngs(0)
        >>> linear = lambda outs: nnx.Linear(4, outs, rngs=rngs)
        >>> stage = lambda: layers.Stage(linear(4), linear(3), num_classes=3)
        >>> layers.Stages([stage(), stage()])(jnp.ones((2, 4))).shape
        (2, 3)
    """

    def __init__(self, stages: Sequence[Stage]):
        self.first = stages[0]
        self.rest = nnx.List(stages[1:])

    def __call__(self, x: Float[Array, "batch *axes"]) -> Float[Array, "batch classes"]:
        """Returns the last answer; of examples that left, the one they left with."""
        features, logits = self.first.answer(x)
        last = Answered(features, logits, jnp.ones(logits.shape[:1], logits.dtype))
        for stage in self.rest:
            last = stage(last)
        return last.logits


class GatedStage(OpenExamples):
    """The next stage of a network and its answer, for the examples that go on.

    Stages in a row share the mask `alive`, so that an example that has left is gone for
    all stages that follow and the batch shrinks from stage to stage (BranchyNet:
    Teerapittayanon et al., 2016, arXiv:1709.01686). Its features are zeros from there
    on.

    Args:
        host: The stage.
        scorer: Maps the logits of the answer before, [batch, classes], to [batch, 1].
        gate: A gate whose count varies, or the dense gate; open means to go on.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> body, exit = nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)
        >>> layer = layers.gated(
        ...     layers.Stage(body, exit, num_classes=3),
        ...     granularity="exits",
        ...     gate=dict(name="gumbel_sigmoid", temperature=1.0),
        ...     scorer=dict(name="confidence", threshold=0.9, sharpness=10.0),
        ...     rngs=rngs,
        ... )
        >>> logits = jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 99.0]])  # unsure, sure
        >>> before = layers.Answered(jnp.ones((2, 4)), logits, jnp.ones(2))
        >>> gates.evaluating(layer)(before).alive
        Array([1., 0.], dtype=float32)
    """

    unit = "rest of the network after an answer"
    score_axis = "answer"

    def __init__(self, *, host: Stage, scorer: nnx.Module, gate: Gate):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)

    def __call__(self, before: Answered) -> Answered:
        """Runs the stage for the examples that are alive and go on."""
        features, logits, alive = before
        if self.opens_all():
            self.decide_all(logits)
            features, logits = self.host.answer(features)
            return Answered(features, logits, jnp.ones_like(alive))
        alive = self.decide(logits, alive).mask[:, 0]
        left = None
        if self.execution != "masked":
            shape, _ = branches.output_shape(self.host.answer, features)
            left = jnp.zeros(shape.shape, shape.dtype)
        closed = left, logits
        features, logits = self.run(self.host.answer, features, closed, alive)
        return Answered(features, logits, alive)
