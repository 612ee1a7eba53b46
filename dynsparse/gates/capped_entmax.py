"""Entmax with entries capped at 1, behind a hard forward pass."""

from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.gates.base.topk import RelaxedTopk


class CappedEntmax(RelaxedTopk):
    """Top-k gate with the gradient of entmax: exactly 0 far from the boundary.

    Exactly the round(density * n) highest scores open. The gradient, and `open_prob`,
    are those of `ops.capped_entmax` (Peters, Niculae and Martins, 2019,
    arXiv:1905.05702, over the capped simplex).

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores.
        alpha: In (1, 2]; 2 is the capped projection.
        rngs: Unused: there is no noise.

    Raises:
        ValueError: If a value is out of range.
    """

    prices_relaxed = True

    def __init__(
        self, *, density: float, temperature: float, alpha: float, rngs: nnx.Rngs
    ):
        super().__init__(density=density, temperature=temperature, rngs=rngs)
        ops.power(alpha)  # names an alpha that is not accepted
        self.alpha = alpha

    def relaxed(
        self, scores: Float[Array, "*batch n"], k: Int[Array, "*batch"]
    ) -> Float[Array, "*batch n"]:
        """Capped entmax of sum `k`."""
        return ops.capped_entmax(scores, k, self.temperature[...], alpha=self.alpha)
