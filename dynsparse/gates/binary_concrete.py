"""Binary concrete gates: the soft Gumbel-sigmoid."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli
from dynsparse.gates.base.gate import TemperatureGate


class BinaryConcrete(SampledBernoulli, TemperatureGate):
    r"""Independent soft units, each above one half with probability $\sigma(s)$.

    The mask is `ops.binary_concrete` (Maddison, Mnih and Teh, 2016, arXiv:1611.00712),
    soft in training. In evaluation a unit runs, wholly, if its probability exceeds one
    half: anneal the temperature, or the network meets hard masks for the first time.

    Differs from the paper: samples below 1e-12 are 0, since layers divide by sums.

    Args:
        temperature: $T > 0$. Towards 0 the samples become hard, and the variance of the
            gradient grows as 1 / T.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A soft sample."""
        mask = ops.binary_concrete(self.noise(), scores, self.temperature[...])
        return jnp.where(mask < ops.LEAST, 0, mask)
