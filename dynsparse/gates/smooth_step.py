"""SmoothStep gates: a cubic step that is exactly 0 or 1 outside a band."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput
from dynsparse.gates.base.gate import Gate


class SmoothStep(Gate):
    """Gate whose mask is a smooth step of the score: deterministic, soft in a band.

    The mask is `ops.smooth_step` (Hazimeh, Ponomareva, Mol, Tan and Mazumder, 2020,
    arXiv:2002.07772); `open_prob` is 1 where it is above 0, with its gradient. A unit
    whose score leaves the band gets no gradient any more.

    Args:
        width: Width of the band, > 0, in units of the scores: several times their
            initial spread.
        rngs: Unused: there is no noise.

    Raises:
        ValueError: If `width` is not positive.
    """

    count = "varying"

    def __init__(self, *, width: float, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        if not width > 0:
            raise ValueError(f"width must be positive, got {width}.")
        self.width = width

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        mask = ops.smooth_step(scores, self.width)
        return GateOutput(mask, ops.straight_through(ops.hard_step(mask), mask))
