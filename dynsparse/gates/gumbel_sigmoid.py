"""Gumbel-sigmoid gates: the two-class Gumbel-softmax, hard straight-through."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import Gate, GateOutput, Temperature


class GumbelSigmoid(Gate):
    r"""Opens each unit with probability $\sigma(s)$, independently.

    With logistic noise $L$ (the difference of two Gumbel variables), the forward mask
    is $1[s + L > 0]$ and its gradient that of $\sigma((s + L) / T)$ (Jang, Gu and
    Poole, 2016, arXiv:1611.01144; Maddison, Mnih and Teh, 2016, arXiv:1611.00712).
    In evaluation there is no noise: a unit runs if its probability exceeds one half.

    Differs from the papers: hard in the forward pass; the noise is float32 whatever the
    dtype of the scores, since bfloat16 noise has no tail.

    Args:
        temperature: $T > 0$. Low values raise the variance of the gradient as 1 / T.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    count = "varying"

    def __init__(self, *, temperature: float, rngs: nnx.Rngs):
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}.")
        self.temperature = Temperature(jnp.float32(temperature))
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        logits = scores.astype(jnp.float32)
        open_prob = jax.nn.sigmoid(logits)
        if not self.deterministic:
            logits = logits + jax.random.logistic(self.noise(), logits.shape)
        soft = jax.nn.sigmoid(logits / self.temperature[...])
        hard = (logits > 0).astype(jnp.float32)
        mask = ops.straight_through(hard, soft)
        return GateOutput(mask.astype(scores.dtype), open_prob.astype(scores.dtype))
