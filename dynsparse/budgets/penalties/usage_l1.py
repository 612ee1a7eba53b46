"""A price on every open unit."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.budgets.penalties.base import TargetPenalty
from dynsparse.budgets.usage import Usage


@dataclasses.dataclass(frozen=True, kw_only=True)
class UsageL1(TargetPenalty):
    r"""Distance of the expected MACs from a target, $|C - t|$.

    With target 0 a price per MAC. The absolute value has a kink at the target, around
    which training dithers (AdaViT: Meng et al., 2021, arXiv:2111.15668, per component).

    Attributes:
        target: $t$, fraction of the dense MACs, in [0, 1].
        weight: >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    of_macs: ClassVar[bool] = True

    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The distance."""
        return jnp.abs(usage.budget() - self.target)
