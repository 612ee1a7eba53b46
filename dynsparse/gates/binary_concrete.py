"""Binary concrete gates: the soft Gumbel-sigmoid."""

import jax
import jax.numpy as jnp
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


class BinaryConcrete(Gate):
    r"""Opens each unit by a soft sample, above one half with probability $\sigma(s)$.

    The mask is `ops.binary_concrete` (Maddison, Mnih and Teh, 2016, arXiv:1611.00712),
    soft in training. In evaluation a unit runs, wholly, if its probability exceeds one
    half: anneal the temperature, or the network meets hard masks for the first time.

    Differs from the paper: samples below 1e-12 are 0, since layers divide by sums.

    Args:
        temperature: $T > 0$. Towards 0 the samples become hard, and the variance of the
            gradient grows as 1 / T.
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
        mask = ops.binary_concrete(self.noise(), scores, self.temperature[...])
        mask = jnp.where(mask < ops.LEAST, 0, mask)
        return GateOutput(mask, jax.nn.sigmoid(scores))
