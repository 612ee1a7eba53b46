"""A target for the density of each layer."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.budgets.penalties.base import TargetPenalty
from dynsparse.budgets.usage import Usage


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetRate(TargetPenalty):
    r"""Squared distance of each layer's expected density from a target, summed.

    $\sum_l (\bar p_l - t)^2$ with the mean over the batch before the square
    (ConvNet-AIG: Veit and Belongie, 2018, arXiv:1711.11503).

    Attributes:
        target: $t$, fraction of units to open, in [0, 1].
        weight: >= 0; 2 in the paper.

    Raises:
        ValueError: If a value is out of range.
    """

    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The sum of the squares."""
        densities = jnp.stack(list(usage.densities().values()))
        return jnp.square(densities - self.target).sum()
