"""The k highest scores, without a gradient: for scores that nobody has to learn."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates.base import GateOutput, TopkGate


class HardTopk(TopkGate):
    """Opens exactly the round(density * n) highest scores, and teaches them nothing.

    With a scorer that learns nothing (the magnitude of the features) a control; with
    one that is trained elsewhere, a gate for inference.

    Args:
        density: Fraction of units to open, in [0, 1].
        rngs: Unused: there is no noise.
    """

    def __init__(self, *, density: float, rngs: nnx.Rngs):
        super().__init__(density=density)

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens the k highest scores of the last axis."""
        return self.hard_output(scores)
