"""Gumbel-sigmoid gates: the two-class Gumbel-softmax, hard straight-through."""

import jax
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    Gate,
    GateOutput,
    deterministic_output,
    initial_temperature,
    positive,
)


class GumbelSigmoid(Gate):
    r"""Opens each unit with probability $\sigma(s)$, independently.

    The mask is `ops.gumbel_sigmoid` (Jang, Gu and Poole, 2016, arXiv:1611.01144;
    Maddison, Mnih and Teh, 2016, arXiv:1611.00712). In evaluation there is no noise: a
    unit runs if its probability exceeds one half.

    Differs from the papers: hard in the forward pass.

    Args:
        temperature: $T > 0$. Low values raise the variance of the gradient as 1 / T.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    count = "varying"

    def __init__(self, *, temperature: float, rngs: nnx.Rngs):
        self.temperature = initial_temperature(temperature)
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        if self.deterministic:
            return deterministic_output(positive(scores))
        mask = ops.gumbel_sigmoid(self.noise(), scores, self.temperature[...])
        return GateOutput(mask, jax.nn.sigmoid(scores))
