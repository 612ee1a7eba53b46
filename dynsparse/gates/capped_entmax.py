"""Entmax with entries capped at 1, behind a hard forward pass."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate, initial_temperature


class CappedEntmax(TopkGate):
    """Opens exactly the round(density * n) highest scores.

    The gradient, and `open_prob`, are those of `ops.capped_entmax` (Peters, Niculae and
    Martins, 2019, arXiv:1905.05702, over the capped simplex): exactly 0 for units far
    from the boundary.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores.
        alpha: In (1, 2]; 2 is the capped projection.
        rngs: Unused: there is no noise.
    """

    def __init__(
        self, *, density: float, temperature: float, alpha: float, rngs: nnx.Rngs
    ):
        super().__init__(density=density)
        self.temperature = initial_temperature(temperature)
        ops.power(alpha)  # names an alpha that is not accepted
        self.alpha = alpha

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        hard = self.hard_output(scores)
        if self.deterministic:
            return hard
        k = self.counts(scores)
        soft = ops.capped_entmax(scores, k, self.temperature[...], alpha=self.alpha)
        return GateOutput(ops.straight_through(hard.mask, soft), soft)
