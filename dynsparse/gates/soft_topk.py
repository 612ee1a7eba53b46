"""Differentiable top-k: hard forward, soft backward."""

from flax import nnx
from jaxtyping import Array, Float, Num

from dynsparse import ops
from dynsparse.gates.base.topk import RelaxedTopk


class SoftTopk(RelaxedTopk):
    """Top-k gate with the gradient of a soft mask that sums to k exactly.

    Exactly the round(density * n) highest scores open. The gradient is that of
    `ops.soft_topk_mask`, which sums to zero over the units, so that the scores cannot
    drift together. `open_prob` is that soft mask. The derivative by the density is that
    of a count which may be any real number.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores. Only units
            within a few temperatures of the k-th score learn.
        family: Member of the threshold family: "logistic" (Amos, Koltun and Kolter,
            2019, arXiv:1906.08707), "laplace" (LapSum), "capped", "power_3_2" or
            another of `ops.FAMILIES`, which cites each.
        rngs: Unused: there is no noise.

    Raises:
        ValueError: If a value is out of range or `family` unknown.
    """

    learns_density = True
    prices_relaxed = True

    def __init__(
        self, *, density: float, temperature: float, family: str, rngs: nnx.Rngs
    ):
        super().__init__(density=density, temperature=temperature, rngs=rngs)
        ops.find_family(family)
        self.family = family

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Num[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """Soft top-k mask of sum `k`."""
        temperature = self.temperature[...]
        return ops.soft_topk_mask(scores, k, temperature, family=self.family)
