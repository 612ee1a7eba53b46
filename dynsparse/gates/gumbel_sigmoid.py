"""Gumbel-sigmoid gates: the two-class Gumbel-softmax, hard straight-through."""

from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli
from dynsparse.gates.base.gate import TemperatureGate


class GumbelSigmoid(SampledBernoulli, TemperatureGate):
    r"""Independent hard units, each open with probability $\sigma(s)$.

    The mask is `ops.gumbel_sigmoid` (Jang, Gu and Poole, 2016, arXiv:1611.01144;
    Maddison, Mnih and Teh, 2016, arXiv:1611.00712). In evaluation there is no noise: a
    unit runs if its probability exceeds one half.

    Differs from the papers: hard in the forward pass.

    Args:
        temperature: $T > 0$. Low values raise the variance of the gradient as 1 / T.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A hard sample with the gradient of the relaxed one."""
        return ops.gumbel_sigmoid(self.noise(), scores, self.temperature[...])
