"""Gumbel top-k: sampling without replacement, with a soft backward pass."""

from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.topk import GumbelRelaxedTopk


class GumbelTopk(GumbelRelaxedTopk):
    """Sample of round(density * n) units without replacement from softmax(scores).

    The highest of the scores plus Gumbel noise open (Kool, van Hoof and Welling, 2019,
    arXiv:1903.06059), with the gradient of `ops.soft_topk_mask` of the same perturbed
    scores (in the spirit of Paulus et al., 2020, arXiv:2006.08063). The inclusion
    probabilities have no closed form: `open_prob` is the drawn mask. In evaluation
    the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    learns_density = True

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Float[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """Soft top-k mask of sum `k`."""
        return ops.soft_topk_mask(scores, k, self.temperature[...])
