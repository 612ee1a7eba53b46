"""Deterministic gates: the sign of the score, with the gradient of a sigmoid."""

from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import TemperatureGate


class SigmoidStraightThrough(TemperatureGate):
    """Gate that opens each unit of positive score, in training as in evaluation.

    The mask, and `open_prob`, are `ops.sigmoid_straight_through` (Bengio, Leonard and
    Courville, 2013, arXiv:1308.3432). No noise, hence no difference between training
    and evaluation, and no exploration: units that start on one side at a low
    temperature stay there.

    Args:
        temperature: Of the sigmoid, > 0, in units of the scores.
        rngs: Unused: there is no noise.
    """

    count = "varying"

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        return deterministic_output(
            ops.sigmoid_straight_through(scores, self.temperature[...])
        )
