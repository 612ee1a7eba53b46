"""Learned-threshold gates: a unit opens where its score exceeds a trained threshold."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.gate import TemperatureGate


class LearnedThreshold(TemperatureGate):
    r"""Gate that opens each unit whose score exceeds $\Delta$, a parameter of the gate.

    The mask, and `open_prob`, are $1[s > \Delta]$ with the gradient of
    $\sigma((s - \Delta) / T)$ (CGNet: Hua, Zhou, De Sa, Zhang and Suh, 2019,
    arXiv:1805.12549, where 1 / T is 2). Give the parameter no weight decay: that would
    pull the density, not the size of a weight.

    Differs from the paper: one threshold for all units, and a density penalty in the
    place of the paper's pull of the threshold towards a target; normalising the scores
    is the scorer's part.

    Args:
        temperature: Of the sigmoid, > 0, in units of the scores.
        threshold: Initial $\Delta$.
        rngs: Unused: there is no noise.
    """

    count = "varying"

    def __init__(self, *, temperature: float, threshold: float, rngs: nnx.Rngs):
        super().__init__(temperature=temperature, rngs=rngs)
        self.threshold = nnx.Param(jnp.float32(threshold))

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        above = scores.astype(jnp.float32) - self.threshold[...]
        mask = ops.sigmoid_straight_through(above, self.temperature[...])
        return deterministic_output(mask.astype(scores.dtype))
