"""Differentiable top-k: hard forward, soft backward."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate, initial_temperature


class SoftTopk(TopkGate):
    """Opens exactly the round(density * n) highest scores.

    The mask is hard in the forward pass; its gradient is that of `ops.soft_topk_mask`,
    which sums to zero over the units, so that the scores cannot drift together.
    `open_prob` is that soft mask. By the density, the derivative is that of a
    count which may be any real number.

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

    def __init__(
        self, *, density: float, temperature: float, family: str, rngs: nnx.Rngs
    ):
        super().__init__(density=density)
        self.temperature = initial_temperature(temperature)
        ops.find_family(family)
        self.family = family

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens the k highest scores of the last axis."""
        hard = self.hard_output(scores)
        if self.deterministic:
            return hard
        k = self.sloped_counts(scores)
        soft = ops.soft_topk_mask(scores, k, self.temperature[...], family=self.family)
        return GateOutput(ops.straight_through(hard.mask, soft), soft)
