"""Gumbel-softmax gates: one unit of n, hard straight-through."""

from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import TemperatureGate


class GumbelSoftmax(TemperatureGate):
    """Gate that opens exactly one unit of a row: i with probability softmax(scores)[i].

    The mask is `ops.gumbel_softmax`, hard (Jang, Gu and Poole, 2016, arXiv:1611.01144).
    For choices that exclude each other, such as a path, a width or an expert; for one
    choice of open or closed per unit take `gumbel_sigmoid`. In evaluation the highest
    score opens.

    Args:
        temperature: > 0. Low values raise the variance of the gradient as 1 / T.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    count = "fixed"
    competes = True
    noisy = True

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens one unit of the last axis."""
        if self.deterministic:
            one = self.static_count(scores.shape[-1])
            return deterministic_output(ops.hard_topk_mask(scores, one))
        mask = ops.gumbel_softmax(
            self.noise(), scores, self.temperature[...], hard=True
        )
        return GateOutput(mask, ops.softmax(scores).astype(scores.dtype))

    def static_count(self, n: int) -> int:
        """One of `n`."""
        return 1
