"""Hard concrete gates: soft samples that are exactly 0 or 1 part of the time."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    Gate,
    GateOutput,
    initial_temperature,
    positive,
)


class HardConcrete(Gate):
    r"""Opens each unit by a stretched and clipped binary concrete sample.

    The mask is `ops.hard_concrete` (Louizos, Welling and Kingma, 2018,
    arXiv:1712.01312) and `open_prob` the probability that it is above 0, in closed
    form: their sum is the expected L0 norm. In evaluation the mask is the paper's, soft
    between its exact zeros and ones.

    Args:
        temperature: $\beta > 0$; 2/3 in the paper.
        low: $\gamma < 0$, lower end of the stretched interval; -0.1 in the paper.
        high: $\zeta > 1$, its upper end; 1.1 in the paper.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If a value is out of range.
    """

    count = "varying"

    def __init__(self, *, temperature: float, low: float, high: float, rngs: nnx.Rngs):
        if not low < 0 < 1 < high:
            raise ValueError(f"needs low < 0 and high > 1, got {low} and {high}.")
        self.temperature = initial_temperature(temperature)
        self.low = low
        self.high = high
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        temperature, ends = self.temperature[...], dict(low=self.low, high=self.high)
        if self.deterministic:
            mask = ops.hard_concrete(None, scores, temperature, **ends)
            return GateOutput(mask, positive(mask))
        mask = ops.hard_concrete(self.noise(), scores, temperature, **ends)
        prob = ops.hard_concrete_open_prob(scores, temperature, **ends)
        return GateOutput(mask, prob)
