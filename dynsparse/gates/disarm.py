"""DisARM gates: antithetic pairs of Bernoulli samples that learn from losses alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli
from dynsparse.gates.base.decision import GateOutput


class Disarm(SampledBernoulli):
    r"""Independent units with probability $\sigma(s)$ that learn from pairs of passes.

    The mask has no gradient. A training step runs every example twice, the second time
    with the noise mirrored, and `ops.disarm_surrogate` turns the two losses into an
    unbiased gradient of low variance (Dong, Mnih and Tucker, 2020, arXiv:2006.10680).
    In evaluation a unit runs if its probability exceeds one half.

    Only for models with one gated layer: behind another gate the two passes would score
    different inputs, and the gradient would be biased. Take `reinforce` there.

    Args:
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    joint = False
    samples = 2

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A hard sample without a gradient, antithetic in the second pass."""
        noise = jax.random.logistic(self.noise(), scores.shape, jnp.float32)
        mirrored = noise if self.sample == 0 else -noise
        return ops.hard_step(scores.astype(jnp.float32) + mirrored).astype(scores.dtype)

    def surrogate(
        self, record: GateOutput, losses: Float[Array, "samples *batch"]
    ) -> Float[Array, ""]:
        """Returns a number whose gradient is that of the expected mean loss."""
        logits = ops.logit(record.open_prob)[0]  # both passes have the same scores
        surrogate = ops.disarm_surrogate(logits, record.mask, losses)
        return surrogate.mean(dtype=jnp.float32)
