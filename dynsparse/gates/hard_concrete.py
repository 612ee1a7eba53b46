"""Hard concrete gates: soft samples that are exactly 0 or 1 part of the time."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput
from dynsparse.gates.base.gate import TemperatureGate


class HardConcrete(TemperatureGate):
    r"""Gate whose mask is a stretched and clipped binary concrete sample.

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
    noisy = True

    def __init__(self, *, temperature: float, low: float, high: float, rngs: nnx.Rngs):
        super().__init__(temperature=temperature, rngs=rngs)
        if not low < 0 < 1 < high:
            raise ValueError(f"needs low < 0 and high > 1, got {low} and {high}.")
        self.low = low
        self.high = high

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        temperature, ends = self.temperature[...], dict(low=self.low, high=self.high)
        key = None if self.deterministic else self.noise()
        mask = ops.hard_concrete(key, scores, temperature, **ends)
        if self.deterministic:
            return GateOutput(mask, ops.hard_step(mask))
        prob = ops.hard_concrete_open_prob(scores, temperature, **ends)
        return GateOutput(mask, prob)
