"""ReinMax gates: Bernoulli samples with a gradient of second order."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base.bernoulli import SampledBernoulli
from dynsparse.gates.base.gate import TemperatureGate


class Reinmax(SampledBernoulli, TemperatureGate):
    r"""Independent hard units with probability $\sigma(s)$, of second-order gradient.

    Each unit is a categorical variable of two classes with logits 0 and s; its mask is
    the second entry of `ops.reinmax` (Liu, Dong, Liu, Yu and Gao, 2023,
    arXiv:2304.08612), whose gradient is exact in expectation for losses that are
    quadratic in the unit. In evaluation a unit runs if its probability exceeds one
    half.

    Args:
        temperature: $T > 0$; 1 or more is recommended.
        rngs: Draws from the `gate` stream; forked, so that gates are independent.
    """

    def draw(self, scores: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """A hard sample with the gradient of ReinMax."""
        logits = jnp.stack([jnp.zeros_like(scores), scores], -1)
        return ops.reinmax(self.noise(), logits, self.temperature[...])[..., 1]
