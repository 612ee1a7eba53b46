"""DisARM gates: antithetic pairs of Bernoulli samples that learn from losses alone."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    Gate,
    GateOutput,
    deterministic_output,
    positive,
    unit_logits,
)


class Disarm(Gate):
    r"""Opens each unit with probability $\sigma(s)$, and learns from a pair of passes.

    The mask has no gradient. A training step runs every example twice, the second time
    with the noise mirrored, and `ops.disarm_surrogate` turns the two losses into an
    unbiased gradient of low variance (Dong, Mnih and Tucker, 2020, arXiv:2006.10680).
    In evaluation a unit runs if its probability exceeds one half.

    Only for models with one gated layer: behind another gate the two passes would score
    different inputs, and the gradient would be biased. Take `reinforce` there.

    Args:
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    count = "varying"
    joint = False
    samples = 2

    def __init__(self, *, rngs: nnx.Rngs):
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        if self.deterministic:
            return deterministic_output(positive(scores))
        noise = jax.random.logistic(self.noise(), scores.shape, jnp.float32)
        mirrored = noise if self.sample == 0 else -noise
        mask = positive(scores.astype(jnp.float32) + mirrored).astype(scores.dtype)
        return GateOutput(mask, jax.nn.sigmoid(scores))

    def surrogate(
        self, record: GateOutput, losses: Float[Array, "samples *batch"]
    ) -> Float[Array, ""]:
        """Returns a number whose gradient is that of the expected mean loss."""
        logits = unit_logits(record)[0]  # the scores of both passes are the same
        surrogate = ops.disarm_surrogate(logits, record.mask, losses)
        return surrogate.mean(dtype=jnp.float32)
