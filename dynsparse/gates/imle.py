"""I-MLE: perturbed top-k with the gradient of a perturbed target."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate, deterministic_output


class Imle(TopkGate):
    """Opens the round(density * n) highest of the scores plus Gumbel noise.

    The gradient is the difference of two hard masks, `ops.imle_topk_mask` (Niepert,
    Minervini and Franceschi, 2021, arXiv:2106.01798). `open_prob` is the drawn mask. In
    evaluation the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        step: How far the target lies along the negative gradient, > 0, in units of
            scores over gradients: large for losses that are means over a batch.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def __init__(self, *, density: float, step: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        if not step > 0:
            raise ValueError(f"step must be positive, got {step}.")
        self.step = step
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        if self.deterministic:
            return self.hard_output(scores)
        k = self.counts(scores)
        return deterministic_output(
            ops.imle_topk_mask(self.noise(), scores, k, self.step)
        )
