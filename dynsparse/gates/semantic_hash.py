"""Improved semantic hashing: a noisy saturated sigmoid, rounded half of the time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli


class SemanticHash(SampledBernoulli):
    r"""Independent units, open with probability $\Phi(s)$, soft in half of the rows.

    The mask is `ops.semantic_hash` (Kaiser and Bengio, 2018, arXiv:1801.09797; as a
    gate in GaterNet: Chen, Li, Bengio and Si, 2018, arXiv:1811.11205). Noise takes the
    place of a temperature. In evaluation a unit runs if its score is positive.

    Args:
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A noisy saturated sigmoid, or that rounded."""
        return ops.semantic_hash(self.noise(), scores)

    def probability(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        r"""$\Phi(s)$."""
        prob = jax.scipy.special.ndtr(scores.astype(jnp.float32))
        return prob.astype(scores.dtype)
