"""Keeps the units of a layer equally busy."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.budgets.penalties.base import Penalty
from dynsparse.budgets.usage import Usage
from dynsparse.gates import GateOutput


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadBalance(Penalty):
    r"""Unequal use of the units of each layer: experts, so that none is left alone.

    "load" (Switch Transformers: Fedus, Zoph and Shazeer, 2021, arXiv:2101.03961) is
    $n \sum_i f_i p_i$ for $n$ units, of which unit $i$ has the share $f_i$ of all masks
    (of hard ones: of all that ran) and $p_i$ of all `open_prob`; 1 where all are equal.
    Its gradient passes through $p$. "importance" (Shazeer et al., 2017,
    arXiv:1701.06538) is the squared coefficient of variation of the summed `open_prob`;
    0 where all are equal. Both look at shares, so that neither moves the density, and
    are summed over the layers. A layer that opens less than 1e-12 adds nothing.

    Attributes:
        form: "load" or "importance".
        weight: >= 0.

    Raises:
        ValueError: If a value is not accepted.
    """

    form: Literal["load", "importance"]

    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The sum over the layers."""
        parts = [self._unbalance(usage, d) for d in usage.decisions.values()]
        return jnp.stack(parts).sum()

    def _unbalance(self, usage: Usage, decision: GateOutput) -> Float[Array, ""]:
        likely = usage.unit_means(decision.open_prob)
        if self.form == "importance":
            return (likely / ops.divisor(likely.mean())).var()
        ran = usage.unit_means(decision.mask)
        share = lambda x: x / ops.divisor(x.sum())
        return len(ran) * (share(jax.lax.stop_gradient(ran)) * share(likely)).sum()
