"""REINFORCE gates: Bernoulli samples that learn from losses alone."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli
from dynsparse.gates.base.decision import GateOutput


class Reinforce(SampledBernoulli):
    r"""Independent units with probability $\sigma(s)$ that learn from losses alone.

    The mask has no gradient. A training step runs every example `samples` times, and
    `ops.reinforce_surrogate` turns the losses into an unbiased gradient, with the mean
    of the other passes as baseline (Williams, 1992; Kool, van Hoof and Welling, 2019,
    "Buy 4 REINFORCE samples, get a baseline for free!"). In evaluation a unit runs if
    its probability exceeds one half.

    Args:
        samples: Passes per step, at least 2: a step costs that many forward and
            backward passes.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If there are fewer than two samples.
    """

    def __init__(self, *, samples: int, rngs: nnx.Rngs):
        if samples < 2:
            raise ValueError(f"samples must be at least 2, got {samples}.")
        super().__init__(rngs=rngs)
        self.samples = samples

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A hard sample without a gradient, another in each pass."""
        key = jax.random.fold_in(self.noise(), self.sample)
        return ops.hard_step(ops.logistic_perturb(key, scores)).astype(scores.dtype)

    def surrogate(
        self, record: GateOutput, losses: Float[Array, "samples *batch"]
    ) -> Float[Array, ""]:
        """Returns a number whose gradient is that of the expected mean loss."""
        log_prob = ops.bernoulli_log_prob(ops.logit(record.open_prob), record.mask)
        return ops.reinforce_surrogate(log_prob, losses).mean(dtype=jnp.float32)
