"""Bernoulli gates with the gradient of their mean."""

from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli


class BernoulliStraightThrough(SampledBernoulli):
    r"""Independent units, each open with probability $\sigma(s)$; no temperature.

    The mask is `ops.bernoulli_straight_through` (Bengio, Leonard and Courville, 2013,
    arXiv:1308.3432): unbiased for losses that are linear in the mask. In evaluation a
    unit runs if its probability exceeds one half.

    Args:
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A hard sample with the gradient of its mean."""
        return ops.bernoulli_straight_through(self.noise(), scores)
