"""Keeps gates from doing the same for every input."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.budgets.penalties.base import Penalty
from dynsparse.budgets.usage import Usage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diversity(Penalty):
    r"""Minus the mutual information of gates and inputs, in bits per unit.

    $-\left(h(\bar p_i) - \overline{h(p_i)}\right)$ with the binary entropy $h$,
    averaged over the units: 0 for a gate that ignores its input, -1 for one that opens
    each unit for half of the inputs, surely. The first term keeps units from dying or
    staying open, the second makes each decision a clear one (the information
    maximisation of Gomes, Krause and Perona, 2010).

    Attributes:
        weight: >= 0.

    Raises:
        ValueError: If it is negative.
    """

    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The mean over all units of all layers."""
        parts = []
        for decision in usage.decisions.values():
            prob = decision.open_prob.astype(jnp.float32)
            overall = binary_entropy(usage.unit_means(prob))
            parts.append(overall - usage.unit_means(binary_entropy(prob)))
        return -jnp.concatenate(parts).mean()


def binary_entropy(prob: Float[Array, "*axes"]) -> Float[Array, "*axes"]:
    """Entropy in bits of events of probability `prob`; flat where those are 0 or 1."""
    inside = (prob > 0) & (prob < 1)
    p = jnp.where(inside, prob, 0.5)
    bits = -(p * jnp.log2(p) + (1 - p) * jnp.log2(1 - p))
    return jnp.where(inside, bits, 0.0)
