"""SoftSort behind a hard forward pass."""

from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.gates.base.topk import RelaxedTopk


class SoftSort(RelaxedTopk):
    """Top-k gate with the gradient of SoftSort.

    Exactly the round(density * n) highest scores open. The gradient is that of
    `ops.soft_sort_mask` (Prillo and Eisenschlos, 2020, arXiv:2006.16038), whose entries
    may exceed 1, hence the hard forward pass.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Of the relaxed permutation, > 0, in units of the scores.
        rngs: Unused: there is no noise.
    """

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Int[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """First `k` rows of the relaxed permutation, added."""
        return ops.soft_sort_mask(scores, k, self.temperature[...])
