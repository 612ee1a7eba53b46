"""Early exits: what is left of the network, for the examples that need it."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates.base import Gate
from dynsparse.layers.open_examples import OpenExamples

Answer = tuple[Float[Array, "batch *axes width"], Float[Array, "batch classes"]]


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


class GatedStage(OpenExamples):
    """The next stage of a network and its answer, for the examples that are not done.

    Stages in a row share what is `alive`, so that an example that left is gone for all
    that follow and the batch shrinks from stage to stage (BranchyNet: Teerapittayanon
    et al., 2016, arXiv:1709.01686).

    Args:
        host: The stage: maps [batch, *axes, width] to the same shape.
        exit: Its answer: maps [batch, *axes, width] to [batch, classes].
        scorer: Maps the logits of the answer before, [batch, classes], to [batch, 1].
        gate: A gate whose count varies, or the dense gate; open means to go on.
    """

    unit = "rest of the network after an answer"

    def __init__(
        self, *, host: nnx.Module, exit: nnx.Module, scorer: nnx.Module, gate: Gate
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)
        self.exit = exit

    def compute(self, inputs: Answer) -> Answer:
        """The stage and its answer."""
        features = self.host(inputs[0])
        return features, self.exit(features)

    def __call__(
        self,
        features: Float[Array, "batch *axes width"],
        logits: Float[Array, "batch classes"],
        alive: Float[Array, "batch"],
    ) -> tuple[
        Float[Array, "batch *axes width"],
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
            return *self.compute((features, logits)), jnp.ones_like(alive)
        alive = self.decide(logits, alive).mask[:, 0]
        return *self.run((features, logits), alive), alive
