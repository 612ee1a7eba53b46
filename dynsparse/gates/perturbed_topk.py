"""Perturbed top-k: the mean of hard masks under noise."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.decision import GateOutput, deterministic_output
from dynsparse.gates.base.topk import TopkGate


class PerturbedTopk(TopkGate):
    """Gate whose mask is the mean of hard top-k masks under noise: soft in training.

    About the round(density * n) highest scores open. The mask, and `open_prob`, are
    `ops.perturbed_topk_mask` (Berthet et al., 2020, arXiv:2002.08676; Cordonnier et
    al., 2021, arXiv:2104.03059). In evaluation exactly the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        sigma: Scale of the Gumbel noise, > 0, in units of the scores.
        num_samples: Hard masks per row, at least 1: time and memory grow with it, the
            variance of the gradient falls.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.

    Raises:
        ValueError: If a value is out of range.
    """

    noisy = True

    def __init__(
        self, *, density: float, sigma: float, num_samples: int, rngs: nnx.Rngs
    ):
        super().__init__(density=density, rngs=rngs)
        if not (sigma > 0 and num_samples >= 1):
            raise ValueError(
                "needs sigma > 0 and num_samples >= 1, got "
                f"sigma={sigma} and num_samples={num_samples}."
            )
        self.sigma = sigma
        self.num_samples = num_samples

    def training_output(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """The mean of the hard masks."""
        k = self.counts(scores)
        mask = ops.perturbed_topk_mask(
            self.noise(), scores, k, sigma=self.sigma, num_samples=self.num_samples
        )
        return deterministic_output(mask)
