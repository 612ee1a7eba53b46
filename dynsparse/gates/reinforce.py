"""REINFORCE gates: Bernoulli samples that learn from losses alone."""

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


class Reinforce(Gate):
    r"""Opens each unit with probability $\sigma(s)$, and learns what that led to.

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

    count = "varying"

    def __init__(self, *, samples: int, rngs: nnx.Rngs):
        if samples < 2:
            raise ValueError(f"samples must be at least 2, got {samples}.")
        self.samples = samples
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        if self.deterministic:
            return deterministic_output(positive(scores))
        key = jax.random.fold_in(self.noise(), self.sample)
        mask = positive(ops.logistic_perturb(key, scores)).astype(scores.dtype)
        return GateOutput(mask, jax.nn.sigmoid(scores))

    def surrogate(
        self, record: GateOutput, losses: Float[Array, "samples *batch"]
    ) -> Float[Array, ""]:
        """Returns a number whose gradient is that of the expected mean loss."""
        log_prob = ops.bernoulli_log_prob(unit_logits(record), record.mask)
        return ops.reinforce_surrogate(log_prob, losses).mean(dtype=jnp.float32)
