"""I-MLE: perturbed top-k with the gradient of a perturbed target."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.topk import TopkGate


class Imle(TopkGate):
    """Top-k gate of noisy scores whose gradient is a difference of two hard masks.

    The round(density * n) highest of the scores plus Gumbel noise open, and the mask is
    `ops.imle_topk_mask` (Niepert, Minervini and Franceschi, 2021, arXiv:2106.01798).
    `open_prob` is the drawn mask. In evaluation the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        step: How far the target lies along the negative gradient, > 0, in units of
            scores over gradients: large for losses that are means over a batch.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If a value is out of range.
    """

    noisy = True

    def __init__(self, *, density: float, step: float, rngs: nnx.Rngs):
        super().__init__(density=density, rngs=rngs)
        if not step > 0:
            raise ValueError(f"step must be positive, got {step}.")
        self.step = step

    def training_output(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """The mask of the perturbed scores."""
        k = self.counts(scores)
        return deterministic_output(
            ops.imle_topk_mask(self.noise(), scores, k, self.step)
        )
