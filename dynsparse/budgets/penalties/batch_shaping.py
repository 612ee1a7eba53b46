"""Shapes how the probability of each unit is spread over the inputs."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse._internal.ranges import Positive, PositiveFraction
from dynsparse.budgets.penalties.base import Penalty
from dynsparse.budgets.usage import Usage


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchShaping(Penalty):
    r"""Distance of each unit's probabilities over a batch from a Beta distribution.

    The squared Cramer-von Mises distance $\frac1N \sum_i (F(x_{(i)}) - i/(N+1))^2$ of
    the sorted probabilities, averaged over the units (Bejnordi, Blankevoort and
    Welling, 2020, arXiv:1907.06627): a unit that is always open or never is far from
    a prior that wants both. Differs from the paper: the mean over the batch instead of
    the sum, so that the weight does not depend on its size.

    Attributes:
        alpha: Of Beta, > 0; 0.6 in the paper.
        beta: Of Beta, > 0; 0.4 in the paper.
        until: Progress at which the weight has fallen to 0, linearly; in (0, 1]. The
            prior is for the start of a training.
        weight: >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    alpha: Positive
    beta: Positive
    until: PositiveFraction

    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The mean distance, less with progress."""
        cdf = _beta_cdf(self.alpha, self.beta)
        distances = [
            self._distance(cdf, usage, decision.open_prob)
            for decision in usage.decisions.values()
        ]
        left = jnp.maximum(1 - usage.progress / self.until, 0.0)
        return left * jnp.stack(distances).mean()

    def _distance(self, cdf: Callable, usage: Usage, prob: Array) -> Float[Array, ""]:
        n = prob.shape[-1]
        rows = prob.astype(jnp.float32).reshape(-1, n)
        weights = jnp.broadcast_to(usage.weights(prob.ndim), prob.shape).reshape(-1, n)
        order = jnp.argsort(rows, 0)
        sort = lambda x: jnp.take_along_axis(x, order, 0)
        rows, weights = sort(rows), sort(weights)
        number = weights.sum(0, keepdims=True)
        wanted = weights.cumsum(0) / (number + 1)  # of those that count, i / (N + 1)
        gaps = weights * jnp.square(cdf(rows) - wanted)
        return (gaps.sum(0) / jnp.maximum(number[0], 1)).mean()


def _beta_cdf(alpha: float, beta: float) -> Callable[[Array], Array]:
    """The distribution function, with its density as derivative by x."""

    @jax.custom_jvp
    def cdf(x):
        return jax.scipy.special.betainc(alpha, beta, x)

    @cdf.defjvp
    def _(primals, tangents):  # JAX has none by x where x is 0 or 1
        (x,), (dx,) = primals, tangents
        inside = jnp.clip(x, 1e-3, 1 - 1e-3)  # the density of the paper's is infinite
        return cdf(x), jnp.exp(jax.scipy.stats.beta.logpdf(inside, alpha, beta)) * dx

    return cdf
