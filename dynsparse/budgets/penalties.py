"""Penalties on what gates open: how much, and how evenly."""

import dataclasses
from collections.abc import Mapping

import jax
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadBalanceLoss:
    r"""Keeps the units of a layer equally busy: experts, so that none is left alone.

    "load" (Switch Transformers: Fedus, Zoph and Shazeer, 2021, arXiv:2101.03961) is
    $n \sum_i f_i p_i$ for $n$ units, of which unit $i$ has the share $f_i$ of all that
    ran and $p_i$ of all `open_prob`; 1 where all are equal. Its gradient passes through
    $p$. "importance" (Shazeer et al., 2017, arXiv:1701.06538) is the squared
    coefficient of variation of the summed `open_prob`; 0 where all are equal. Both look
    at shares, so that neither moves the density, and at the whole batch, in which rows
    may differ.

    Attributes:
        form: "load" or "importance".
        weight: Multiplies the sum over the gated layers, >= 0.

    Raises:
        ValueError: If a value is not accepted.
    """

    form: str
    weight: float

    def __post_init__(self):
        if self.form not in ("load", "importance"):
            raise ValueError(
                f"load_balance: form must be 'load' or 'importance', got {self.form!r}."
            )
        if not self.weight >= 0:
            raise ValueError(f"load_balance: weight must be >= 0, got {self.weight}.")

    def __call__(self, decisions: Mapping[str, GateOutput]) -> Float[Array, ""]:
        """Returns the penalty of one batch, in float32."""
        parts = [self._unbalance(decision) for decision in decisions.values()]
        return self.weight * jnp.stack(parts).sum()

    def _unbalance(self, decision: GateOutput) -> Float[Array, ""]:
        rows = tuple(range(decision.mask.ndim - 1))
        ran = (decision.mask > 0).sum(rows, dtype=jnp.float32)
        likely = decision.open_prob.sum(rows, dtype=jnp.float32)
        if self.form == "importance":
            mean = likely.mean()
            return likely.var() / jnp.square(jnp.where(mean > 0, mean, 1))
        share = lambda x: x / jnp.where(x.sum() > 0, x.sum(), 1)
        return len(ran) * (share(jax.lax.stop_gradient(ran)) * share(likely)).sum()
