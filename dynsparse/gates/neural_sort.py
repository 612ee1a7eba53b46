"""NeuralSort behind a hard forward pass."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    GateOutput,
    TopkGate,
    deterministic_output,
    initial_temperature,
)


class NeuralSort(TopkGate):
    """Opens exactly the round(density * n) highest scores.

    The gradient is that of `ops.neural_sort_mask` (Grover, Wang, Zweig and
    Ermon, 2019, arXiv:1903.08850), whose entries may exceed 1, hence the hard forward
    pass.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Of the relaxed permutation, > 0, in units of the scores times n.
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
        soft = ops.neural_sort_mask(scores, k, self.temperature[...])
        return deterministic_output(ops.straight_through(hard.mask, soft))
