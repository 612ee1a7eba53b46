"""Any-budget training: a new density at every step."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.gates.base import Density


@dataclasses.dataclass(frozen=True, kw_only=True)
class DensitySampling:
    """Draws the density of a training step.

    Attributes:
        low: Lowest density, in (0, 1].
        high: Highest density, in [low, 1].
        full: Probability of density 1 instead of a draw between the two, in [0, 1].

    Raises:
        ValueError: If a value is out of range.
    """

    low: float
    high: float
    full: float

    def __post_init__(self):
        if not 0 < self.low <= self.high <= 1:
            raise ValueError(
                "density_sampling: needs 0 < low <= high <= 1, got "
                f"low={self.low}, high={self.high}."
            )
        if not 0 <= self.full <= 1:
            raise ValueError(
                f"density_sampling: full must be in [0, 1], got {self.full}."
            )

    def __call__(self, key: PRNGKeyArray) -> Float[Array, ""]:
        """Returns one density, in float32."""
        choice, draw = jax.random.split(key)
        density = jax.random.uniform(draw, minval=self.low, maxval=self.high)
        return jnp.where(jax.random.bernoulli(choice, self.full), 1.0, density)


def set_density(model: nnx.Module, density: Float[Array, ""]):
    """Sets every `Density` of `model`, if it has any, in place."""
    for _, node in nnx.iter_graph(model):
        if isinstance(node, Density):
            node[...] = density
