"""Perturbed top-k: the mean of hard masks under noise."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import GateOutput, TopkGate, deterministic_output


class PerturbedTopk(TopkGate):
    """Opens about the round(density * n) highest scores: soft in training.

    The mask is `ops.perturbed_topk_mask` (Berthet et al., 2020, arXiv:2002.08676;
    Cordonnier et al., 2021, arXiv:2104.03059), the mean of `num_samples` hard masks,
    and so is `open_prob`. In evaluation exactly the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        sigma: Scale of the Gumbel noise, > 0, in units of the scores.
        num_samples: Hard masks per row, at least 1: time and memory grow with it, the
            variance of the gradient falls.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def __init__(
        self, *, density: float, sigma: float, num_samples: int, rngs: nnx.Rngs
    ):
        super().__init__(density=density)
        if not (sigma > 0 and num_samples >= 1):
            raise ValueError(
                "needs sigma > 0 and num_samples >= 1, got "
                f"sigma={sigma} and num_samples={num_samples}."
            )
        self.sigma = sigma
        self.num_samples = num_samples
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        if self.deterministic:
            return self.hard_output(scores)
        k = self.counts(scores)
        mask = ops.perturbed_topk_mask(
            self.noise(), scores, k, sigma=self.sigma, num_samples=self.num_samples
        )
        return deterministic_output(mask)
