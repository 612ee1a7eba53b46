"""ReLU routing: the positive part of the score is the mask."""

import jax
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput
from dynsparse.gates.base.gate import Gate


class ReluRouting(Gate):
    """Gate that opens each unit of positive score, as far as its score says.

    The mask is `ops.relu_mask` (ReMoE: Wang, Zhu and Chen, 2024, arXiv:2412.14711,
    here capped at 1); `open_prob` is 1 where it is above 0, with the gradient of the
    uncapped score, so that a density penalty acts as the paper's L1 term does.
    Continuous, in training as in evaluation.

    Args:
        rngs: Unused: there is no noise.
    """

    count = "varying"

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Decides over the last axis, each unit by itself."""
        mask = ops.relu_mask(scores)
        slope = jax.nn.relu(ops.finite(scores, 1.0))
        opened = ops.straight_through(ops.hard_step(mask).astype(slope.dtype), slope)
        return GateOutput(mask, opened.astype(scores.dtype))
