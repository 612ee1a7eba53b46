"""DFTopK behind a hard forward pass."""

from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.gates.base.topk import RelaxedTopk


class Dftopk(RelaxedTopk):
    """Top-k gate with the gradient of DFTopK, a sigmoid around a midpoint of scores.

    Exactly the round(density * n) highest scores open. The gradient is that of
    `ops.dftopk_mask` (Zhu et al., 2025, arXiv:2510.11472), whose sum misses k, hence
    the hard forward pass.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores.
        rngs: Unused: there is no noise.
    """

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Int[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """DFTopK around `k` units."""
        return ops.dftopk_mask(scores, k, self.temperature[...])
