"""DFTopK behind a hard forward pass."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    GateOutput,
    TopkGate,
    deterministic_output,
    initial_temperature,
)


class Dftopk(TopkGate):
    """Opens exactly the round(density * n) highest scores.

    The gradient is that of `ops.dftopk_mask` (DFTopK: Zhu et al., 2025,
    arXiv:2510.11472), whose sum misses k, hence the hard forward pass.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores.
        rngs: Unused: there is no noise.
    """

    def __init__(self, *, density: float, temperature: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        self.temperature = initial_temperature(temperature)

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        hard = self.hard_output(scores)
        if self.deterministic:
            return hard
        k = self.counts(scores)
        soft = ops.dftopk_mask(scores, k, self.temperature[...])
        return deterministic_output(ops.straight_through(hard.mask, soft))
