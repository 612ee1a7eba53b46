"""A target for the MACs of the whole network, with annealed bounds for its layers."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Fraction
from dynsparse.budgets.penalties.base import TargetPenalty
from dynsparse.budgets.targets import check_target
from dynsparse.budgets.usage import Usage
from dynsparse.gates import Gate


@dataclasses.dataclass(frozen=True, kw_only=True)
class MacTarget(TargetPenalty):
    r"""Squared distance of the network's expected MACs from a target.

    $(C - t)^2$, plus the mean over the layers of
    $\max(0, d_l - u)^2 + \max(0, b - d_l)^2$ for their densities $d_l$. The bounds
    start at the target and open to [0, 1]: $u = 1 - q (1 - t)$, $b = q t$ with
    $q = \cos^2(\frac{\pi}{2} \min(1, e / f))$ at progress $e$: they keep layers from
    closing or opening for good before they have learned anything (DynConv: Verelst and
    Tuytelaars, 2020, arXiv:1912.03203).

    Attributes:
        target: $t$, fraction of the dense MACs, in [0, 1].
        bounds_until: $f$, progress at which the bounds are gone, in (0, 1], or 0 for
            none; 0.33 in the authors' code.
        weight: >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    of_macs: ClassVar[bool] = True
    bounds_until: Fraction

    def check(self, gates: Mapping[str, Gate], floor: float):
        """Refuses targets below the floor, too."""
        super().check(gates, floor)
        check_target(self.target, floor, "budget.penalties: MacTarget")

    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The squares."""
        total = jnp.square(usage.budget() - self.target)
        if self.bounds_until == 0:
            return total
        elapsed = jnp.minimum(usage.progress / self.bounds_until, 1.0)
        tight = jnp.square(jnp.cos(jnp.pi / 2 * elapsed))
        upper, lower = 1 - tight * (1 - self.target), tight * self.target
        densities = jnp.stack(list(usage.densities().values()))
        outside = jax.nn.relu(densities - upper), jax.nn.relu(lower - densities)
        return total + sum(jnp.square(part).mean() for part in outside)
