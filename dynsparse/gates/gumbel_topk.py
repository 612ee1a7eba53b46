"""Gumbel top-k: sampling without replacement, with a soft backward pass."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import (
    GateOutput,
    TopkGate,
    deterministic_output,
    initial_temperature,
)


class GumbelTopk(TopkGate):
    """Opens the round(density * n) highest of the scores plus Gumbel noise.

    A sample without replacement from softmax(scores) (Kool, van Hoof and Welling, 2019,
    arXiv:1903.06059), with the gradient of `ops.soft_topk_mask` of the same perturbed
    scores (in the spirit of Paulus et al., 2020, arXiv:2006.08063). The inclusion
    probabilities have no closed form: `open_prob` is the drawn mask. In evaluation
    the highest scores open.

    Args:
        density: Fraction of units to open, in [0, 1].
        temperature: Width of the soft mask, > 0, in units of the scores.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    learns_density = True

    def __init__(self, *, density: float, temperature: float, rngs: nnx.Rngs):
        super().__init__(density=density)
        self.temperature = initial_temperature(temperature)
        self.noise = rngs.gate.fork()

    def __call__(self, scores: Float[Array, "*batch n"]) -> GateOutput:
        """Opens k units of the last axis."""
        if self.deterministic:
            return self.hard_output(scores)
        perturbed = ops.gumbel_perturb(self.noise(), scores)
        soft = ops.soft_topk_mask(
            perturbed, self.sloped_counts(scores), self.temperature[...]
        )
        hard = ops.hard_topk_mask(perturbed, self.counts(scores))
        mask = ops.straight_through(hard, soft)
        return deterministic_output(mask.astype(scores.dtype))
