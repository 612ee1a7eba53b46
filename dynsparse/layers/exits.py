"""Early exits: what is left of the network, for the examples that need it."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import gates
from dynsparse._internal.registry import Config
from dynsparse.gates import Gate
from dynsparse.layers.make_scorer import make_scorer
from dynsparse.layers.open_examples import OpenExamples

Answer = tuple[Float[Array, "batch *axes"], Float[Array, "batch classes"]]


class GatedStage(OpenExamples):
    """The next stage of a network and its answer, for the examples that are not done.

    Stages in a row share what is `alive`, so that an example that left is gone for all
    that follow and the batch shrinks from stage to stage (BranchyNet: Teerapittayanon
    et al., 2016, arXiv:1709.01686). The features of who left are zeros from there on.

    Args:
        host: The stage: maps [batch, *axes] to features.
        exit: Its answer: maps those to [batch, classes].
        scorer: Maps the logits of the answer before, [batch, classes], to [batch, 1].
        gate: A gate whose count varies, or the dense gate; open means to go on.
    """

    unit = "rest of the network after an answer"
    score_axis = "answer"

    def __init__(
        self, *, host: nnx.Module, exit: nnx.Module, scorer: nnx.Module, gate: Gate
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)
        self.exit = exit

    def compute(self, inputs: Array) -> Answer:
        """The stage and its answer."""
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
        """Returns features, answers and who is alive, after this stage.

        Args:
            features: After the stage before.
            logits: Its answer.
            alive: In [0, 1]: who has not left yet.
        """
        if self.opens_all():
            self.decide_all(logits)
            return *self.compute(features), jnp.ones_like(alive)
        alive = self.decide(logits, alive).mask[:, 0]
        closed = self.nothing(features), logits
        return *self.run(features, closed, alive), alive


class EarlyExits(nnx.Module):
    """Stages with an answer after each; an example leaves with the first that will do.

    Args:
        stages: Each maps features to features; the first always runs.
        exits: The answer of each: features to logits.
        num_classes: Of them.
        gate: Config of the gates between the stages.
        scorer: Config of their scorers, which read the logits: "confidence", "static"
            or a network.
        rngs: Streams `params` and `gate`.
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
        """Returns the logits with which each example left."""
        features = self.first(x)
        logits = self.answer(features)
        alive = jnp.ones(logits.shape[:1], logits.dtype)
        for stage in self.rest:
            features, logits, alive = stage(features, logits, alive)
        return logits
