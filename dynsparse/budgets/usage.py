"""What a training batch opened, and what that is expected to cost."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse._internal.paths import stands_inside
from dynsparse.gates import GateOutput, deterministic_output


def as_evaluated(decisions: Mapping[str, GateOutput]) -> dict[str, GateOutput]:
    """The decisions of one pass of evaluation, as those of a step with one pass.

    What is open at all runs, and counts as surely open.

    >>> soft = gates.GateOutput(jnp.array([[0.3, 0.0]]), jnp.array([[0.6, 0.4]]))
    >>> np.asarray(budgets.as_evaluated({"a": soft})["a"].open_prob).tolist()
    [[[1.0, 0.0]]]

    Args:
        decisions: By layer, each [batch, *rows, units].
    """
    opened = {n: (d.mask > 0).astype(jnp.float32)[None] for n, d in decisions.items()}
    return {name: deterministic_output(mask) for name, mask in opened.items()}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """The decisions of a batch beside the prices of what they open.

    >>> open_prob = jnp.array([[[0.5, 0.0]]])  # one pass, one example, two units
    >>> usage = budgets.Usage(
    ...     decisions={"a": gates.GateOutput(open_prob, open_prob)},
    ...     prices={"a": (np.array([0.0, 1.0]), np.array([0.0, 0.8]))},
    ...     floor=0.2,
    ...     progress=0.0,
    ... )
    >>> round(float(usage.budget()), 2)
    0.4

    Averages are over the whole batch, before anything is squared, so that examples may
    differ as long as they meet a target together. Under `jit` a batch that is spread
    over devices is one batch.

    Attributes:
        decisions: By layer, each [passes, batch, *rows, units].
        prices: By layer, densities from 0 to 1 in rising order and what its units cost
            there, as fractions of the dense MACs (`costs.Prices.shares`).
        floor: Fraction of the dense MACs that no gate closes, the gates' own included.
        progress: Share of the training steps that are done, in [0, 1].
        examples: [batch]: 1, or 0 for what only fills the batch; None: all count.
    """

    decisions: Mapping[str, GateOutput]
    prices: Mapping[str, tuple[np.ndarray, np.ndarray]]
    floor: float
    progress: Float[Array, ""] | float
    examples: Float[Array, "batch"] | None = None

    def unit_means(
        self, values: Float[Array, "passes batch *rows n"]
    ) -> Float[Array, "n"]:
        """Average of each unit over passes, examples and rows, in float32."""
        rows, lead = values.astype(jnp.float32), tuple(range(values.ndim - 1))
        if self.examples is None:
            return rows.mean(lead)
        weights = self.weights(values.ndim)
        total = jnp.broadcast_to(weights, rows.shape).sum(lead)
        return (rows * weights).sum(lead) / jnp.maximum(total, 1.0)

    def densities(self) -> dict[str, Float[Array, ""]]:
        """Expected fraction of open units, by layer."""
        return {
            name: self.unit_means(decision.open_prob).mean()
            for name, decision in self.decisions.items()
        }

    def budget(self, leak: float = 0.0) -> Float[Array, ""]:
        """Expected MACs as a fraction of the dense ones.

        Each example is priced at its expected density.

        Args:
            leak: Adds to the gradient by the logits of `open_prob`, per unit. Without
                it that is p (1 - p), and what is surely closed or open stays so at any
                price. Of no effect where `open_prob` is exactly 0 or 1.
        """
        spent = []
        for name, decision in self.decisions.items():
            prob = self._reached(name).astype(jnp.float32)
            if leak:
                logits = ops.logit(decision.open_prob)
                prob = prob + leak * (logits - jax.lax.stop_gradient(logits))
            densities = prob.mean(tuple(range(2, prob.ndim)))
            points, costs = (jnp.asarray(x, jnp.float32) for x in self.prices[name])
            priced = jnp.interp(densities, points, costs)
            spent.append(self.unit_means(priced[..., None])[0])
        return self.floor + jnp.stack(spent).sum()

    def _reached(self, name: str) -> Float[Array, "passes batch *rows n"]:
        """`open_prob`, less where gates around it are closed.

        Rows that are closed further out are in the decision already; a decision about
        an example counts for the share of it that runs.
        """
        prob = self.decisions[name].open_prob
        for other, decision in self.decisions.items():
            around = decision.open_prob
            if not stands_inside(name, other) or around.ndim != 3:
                continue
            if prob.ndim == 3:
                prob = prob * around.mean(-1, keepdims=True)
            elif around.shape[-1] == 1:
                prob = prob * around.reshape(*prob.shape[:2], *[1] * (prob.ndim - 2))
        return prob

    def weights(self, ndim: int) -> Float[Array, "..."]:
        """`examples` along the second of `ndim` axes."""
        if self.examples is None:
            return jnp.ones([1] * ndim, jnp.float32)
        return self.examples.astype(jnp.float32).reshape(1, -1, *[1] * (ndim - 2))
