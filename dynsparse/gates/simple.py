"""SIMPLE: an exact sample of k units, with the gradient of the exact marginals."""

from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.gates.base.topk import RelaxedTopk


class Simple(RelaxedTopk):
    """Exact sample of round(density * n) units from the k-subset distribution.

    Forward `ops.k_subset_sample` of the scores over the temperature, backward
    `ops.k_subset_marginals` (Ahmed, Zeng, Niepert and Van den Broeck, 2023,
    arXiv:2210.01941): biased, but exact for losses that are linear in the mask.
    `open_prob` is the marginal, exactly. In evaluation the highest scores open.

    O(n k) time and memory per row; O(n^2) in training, where the density may move.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Divides the scores, > 0.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    noisy = True
    prices_relaxed = True

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Int[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """Marginals of the k-subset distribution."""
        return ops.k_subset_marginals(scores / self.temperature[...], k)

    def hard(
        self,
        scores: Float[Array, "*batch n"],
        k: Int[Array, "*batch"],
        soft: Float[Array, "*batch n"],
    ) -> Float[Array, "*batch n"]:
        """A sample of the k-subset distribution."""
        return ops.k_subset_sample(self.noise(), scores / self.temperature[...], k)
