"""Bernoulli gates with the gradient of their mean."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import Gate, GateOutput, deterministic_output, positive


class BernoulliStraightThrough(Gate):
    r"""Opens each unit with probability $\sigma(s)$, independently.

    The mask is `ops.bernoulli_straight_through` (Bengio, Leonard and Courville, 2013,
    arXiv:1308.3432): unbiased for losses that are linear in the mask, and without a
    temperature. In evaluation a unit runs if its probability exceeds one half.

    Args:
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    count = "varying"

    def __init__(self, *, rngs: nnx.Rngs):
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        if self.deterministic:
            return deterministic_output(positive(scores))
        mask = ops.bernoulli_straight_through(self.noise(), scores)
        return GateOutput(mask, jax.nn.sigmoid(scores))
