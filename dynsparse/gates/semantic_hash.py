"""Improved semantic hashing: a noisy saturated sigmoid, rounded half of the time."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import Gate, GateOutput, deterministic_output, positive


class SemanticHash(Gate):
    r"""Opens each unit with probability $\Phi(s)$, softly for half of the rows.

    The mask is `ops.semantic_hash` (Kaiser and Bengio, 2018, arXiv:1801.09797; as a
    gate in GaterNet: Chen, Li, Bengio and Si, 2018, arXiv:1811.11205). Noise takes the
    place of a temperature. In evaluation a unit runs if its score is positive.

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
        prob = jax.scipy.special.ndtr(scores.astype(jnp.float32))
        mask = ops.semantic_hash(self.noise(), scores)
        return GateOutput(mask, prob.astype(scores.dtype))
