"""Early exits: the rest of the network runs for the examples that need it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import gates
from dynsparse._internal.registry import Config
from dynsparse.gates import Gate
from dynsparse.layers.open_examples import OpenExamples
from dynsparse.layers.scorers import make_scorer

Answer = tuple[Float[Array, "batch *axes"], Float[Array, "batch classes"]]


class GatedStage(OpenExamples):
    """The next stage of a network and its answer, for the examples that go on.

    Stages in a row share the mask `alive`, so that an example that has left is gone for
    all stages that follow and the batch shrinks from stage to stage (BranchyNet:
    Teerapittayanon et al., 2016, arXiv:1709.01686). Its features are zeros from there
    on.

    Args:
        host: The stage: maps [batch, *axes] to features.
        exit: The answer of the stage: maps its features to [batch, classes].
        scorer: Maps the logits of the answer before, [batch, classes], to [batch, 1].
        gate: A gate whose count varies, or the dense gate; open means to go on.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> stage = layers.GatedStage(
        ...     host=nnx.Linear(4, 4, rngs=rngs),
        ...     exit=nnx.Linear(4, 3, rngs=rngs),
        ...     scorer=layers.make_scorer(
        ...         dict(name="confidence", threshold=0.9, sharpness=10.0),
        ...         layers.GatedStage,
        ...         width=3,
        ...         num_units=1,
        ...         rngs=rngs,
        ...     ),
        ...     gate=gates.from_config(
        ...         dict(name="gumbel_sigmoid", temperature=1.0), rngs=rngs
        ...     ),
        ... )
        >>> logits = jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 99.0]])  # unsure, sure
        >>> evaluated = gates.evaluating(stage)
        >>> _, _, alive = evaluated(jnp.ones((2, 4)), logits, jnp.ones(2))
        >>> alive
        Array([1., 0.], dtype=float32)
    """

    unit = "rest of the network after an answer"
    score_axis = "answer"

    def __init__(
        self, *, host: nnx.Module, exit: nnx.Module, scorer: nnx.Module, gate: Gate
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)
        self.exit = exit

    def compute(self, inputs: Float[Array, "batch *before"]) -> Answer:
        """Runs the stage and its answer."""
        features = self.host(inputs)
        return features, self.exit(features)

    def __call__(
        self,
        features: Float[Array, "batch *axes"],
        logits: Float[Array, "batch classes"],
        alive: Float[Array, "batch"],
    ) -> tuple[
        Float[Array, "batch *others"],
        Float[Array, "batch classes"],
        Float[Array, "batch"],
    ]:
        """Returns features, logits and the mask of who goes on, after this stage.

        Args:
            features: Output of the stage before.
            logits: Answer of the stage before.
            alive: Examples that have not left yet, in [0, 1].
        """
        if self.opens_all():
            self.decide_all(logits)
            return *self.compute(features), jnp.ones_like(alive)
        alive = self.decide(logits, alive).mask[:, 0]
        closed = self.nothing(features), logits
        return *self.run(self.compute, features, closed, alive), alive


class EarlyExits(nnx.Module):
    """Stages with an answer after each; each example exits when its answer is sure.

    Args:
        stages: Each maps features to features; the first always runs.
        exits: One for each stage: features to logits.
        num_classes: Number of logits.
        gate: Config of the gates between the stages.
        scorer: Config of the gates' scorers, which read the logits: "confidence",
            "static" or a network.
        rngs: Streams `params` and `gate`.

    Raises:
        ValueError: If there is not one exit for each stage, or a gate or scorer does
            not accept a value.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> model = layers.EarlyExits(
        ...     [nnx.Linear(4, 4, rngs=rngs) for _ in range(2)],
        ...     [nnx.Linear(4, 3, rngs=rngs) for _ in range(2)],
        ...     num_classes=3,
        ...     gate=dict(name="gumbel_sigmoid", temperature=1.0),
        ...     scorer=dict(name="confidence", threshold=0.9, sharpness=10.0),
        ...     rngs=rngs,
        ... )
        >>> model(jnp.ones((2, 4))).shape
        (2, 3)
    """

    def __init__(
        self,
        stages: Sequence[nnx.Module],
        exits: Sequence[nnx.Module],
        *,
        num_classes: int,
        gate: Config,
        scorer: Config,
        rngs: nnx.Rngs,
    ):
        self.first: Any = stages[0]
        self.answer: Any = exits[0]
        self.rest = nnx.List(
            GatedStage(
                host=stage,
                exit=exit,
                scorer=make_scorer(
                    scorer, GatedStage, width=num_classes, num_units=1, rngs=rngs
                ),
                gate=gates.from_config(gate, rngs=rngs),
            )
            for stage, exit in zip(stages[1:], exits[1:], strict=True)
        )

    def __call__(self, x: Float[Array, "batch *axes"]) -> Float[Array, "batch classes"]:
        """Returns the logits of the exit that each example took."""
        features = self.first(x)
        logits = self.answer(features)
        alive = jnp.ones(logits.shape[:1], logits.dtype)
        for stage in self.rest:
            features, logits, alive = stage(features, logits, alive)
        return logits
