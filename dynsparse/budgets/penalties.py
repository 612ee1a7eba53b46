"""Penalties that move gates of a varying count towards a density."""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.gates.base import GateOutput


@dataclasses.dataclass(frozen=True, kw_only=True)
class DensityLoss:
    """Squared distance of each layer's expected density from a target.

    The density is averaged over the batch before it is squared, so that examples may
    differ as long as they meet the target together, and it is read from `open_prob`,
    which has no sampling noise.

    Attributes:
        target: Fraction of units to open, in [0, 1].
        weight: Multiplies the sum over the gated layers, >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    target: float
    weight: float

    def __post_init__(self):
        if not 0 <= self.target <= 1:
            raise ValueError(
                f"density_loss: target must be in [0, 1], got {self.target}."
            )
        if not self.weight >= 0:
            raise ValueError(f"density_loss: weight must be >= 0, got {self.weight}.")

    def __call__(self, decisions: Mapping[str, GateOutput]) -> Float[Array, ""]:
        """Returns the penalty of one batch, in float32."""
        densities = [
            decision.open_prob.mean(dtype=jnp.float32)
            for decision in decisions.values()
        ]
        gaps = jnp.stack([density - self.target for density in densities])
        return self.weight * jnp.square(gaps).sum()
