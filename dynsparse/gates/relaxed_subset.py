"""Relaxed subset sampling behind a hard forward pass."""

from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.gates.base.topk import GumbelRelaxedTopk


class RelaxedSubset(GumbelRelaxedTopk):
    """Sample of round(density * n) units, with the gradient of k softmaxes.

    The highest of the scores plus Gumbel noise open. The gradient is that of
    `ops.relaxed_subset_mask` under the same noise (Xie and Ermon, 2019,
    arXiv:1901.10517), whose entries may exceed 1, hence the hard forward pass.
    `open_prob` is the drawn mask. In evaluation the highest scores open.

    One softmax per unit in training, where the density may move: slow for many units.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Of the k softmaxes, > 0, in units of the scores.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Int[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """Sum of `k` softmaxes, each without what the earlier ones took."""
        return ops.relaxed_subset_mask(None, scores, k, self.temperature[...])
