"""One density per step, drawn evenly."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse._internal.ranges import Fraction
from dynsparse.budgets.sampling.base import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Uniform(Sampling):
    """One pass per step, at a density between the two or, now and then, at 1.

    Attributes:
        low: Lowest density, in (0, high].
        high: Highest density, in [low, 1].
        full: Probability of density 1 instead of a draw, in [0, 1].

    Raises:
        ValueError: If a value is out of range.
    """

    full: Fraction

    @property
    def passes(self) -> int:
        """One."""
        return 1

    def __call__(self, key: PRNGKeyArray) -> Float[Array, "passes"]:
        """Returns one density, in float32."""
        choice, draw = jax.random.split(key)
        density = self.between(jax.random.uniform(draw, (1,), jnp.float32))
        return jnp.where(jax.random.bernoulli(choice, self.full), 1.0, density)

    def between(self, share: Float[Array, "passes"]) -> Float[Array, "passes"]:
        """The density at a share, in [0, 1), of the way from low to high."""
        return self.low + share * (self.high - self.low)
