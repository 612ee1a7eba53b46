"""The largest density, the smallest, and some between, at every step."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse._internal.ranges import CountOrZero
from dynsparse.budgets.sampling.base import Sampling


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandwich(Sampling):
    """The sandwich rule (Yu and Huang, 2019, arXiv:1903.05134).

    Its first pass is the teacher of the others where a step distils. A step costs as
    many passes as there are densities.

    Attributes:
        low: Lowest density, in (0, high].
        high: Highest density, in [low, 1].
        draws: Random densities between them, >= 0; 2 in the paper.

    Raises:
        ValueError: If a value is out of range.
    """

    draws: CountOrZero

    @property
    def passes(self) -> int:
        """The two ends and the draws."""
        return 2 + self.draws

    def __call__(self, key: PRNGKeyArray) -> Float[Array, "passes"]:
        """Returns the highest density, the draws, and the lowest, in float32."""
        between = jax.random.uniform(
            key, (self.draws,), jnp.float32, minval=self.low, maxval=self.high
        )
        ends = jnp.float32(self.high)[None], jnp.float32(self.low)[None]
        return jnp.concatenate([ends[0], between, ends[1]])
