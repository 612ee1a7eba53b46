"""Soft top-k rounded at random: exactly k open, each as often as its soft mask says."""

from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.gates.soft_topk import SoftTopk


class SystematicTopk(SoftTopk):
    """Sample of round(density * n) units whose probabilities are the soft mask.

    Forward `ops.systematic_round` of `ops.soft_topk_mask` (Madow, 1949), backward the
    soft mask: unbiased for losses that are linear in the mask, and it explores, which a
    deterministic top-k does not. `open_prob` is the soft mask, exactly. In evaluation
    the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores: the higher,
            the more units share the k places.
        family: Member of the threshold family, a name of `ops.FAMILIES`.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If a value is out of range or `family` unknown.
    """

    learns_density = False
    noisy = True

    def hard(
        self,
        scores: Float[Array, "*batch n"],
        k: Int[Array, "*batch"],
        soft: Float[Array, "*batch n"],
    ) -> Float[Array, "*batch n"]:
        """The soft mask, rounded at random."""
        return ops.systematic_round(self.noise(), soft)
