"""ReinMax gates: Bernoulli samples with a gradient of second order."""

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


class Reinmax(Gate):
    r"""Opens each unit with probability $\sigma(s)$, independently.

    Each unit is a categorical variable of two classes with logits 0 and s; its mask is
    the second entry of `ops.reinmax` (Liu, Dong, Liu, Yu and Gao, 2023,
    arXiv:2304.08612), whose gradient is exact in expectation for losses that are
    quadratic in the unit. In evaluation a unit runs if its probability exceeds one
    half.

    Args:
        temperature: $T > 0$; 1 or more is recommended.
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
        logits = jnp.stack([jnp.zeros_like(scores), scores], -1)
        sample = ops.reinmax(self.noise(), logits, self.temperature[...])
        return GateOutput(sample[..., 1], jax.nn.sigmoid(scores))
