r"""The k-subset distribution: p(z) proportional to exp(scores @ z) over |z| = k.

The distribution of independent Bernoulli variables, with the scores as logits, given
that exactly k of them are 1. Its partition function, marginals, samples and
log-probabilities here come from one recursion over the units, hence they agree.
O(n k) time and memory where `k` is an int; a traced `k` costs as much as k = n.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from dynsparse.ops.counts import Count, per_row, widest

_CERTAIN = 200.0  # a difference of logits that decides a unit in float32
_IMPOSSIBLE = -1e30  # a log-probability; unlike -inf, with a derivative


def k_subset_log_partition(
    scores: Float[Array, "*batch n"], k: Count
) -> Float[Array, "*batch"]:
    r"""Logarithm of the sum of exp(scores @ z) over all masks z with `k` ones.

    $\log e_k(e^s)$, with $e_k$ the elementary symmetric polynomial. Its derivative by
    the scores is `k_subset_marginals`, and the second one the covariance of z.

    Args:
        scores: Logits; `inf` and `-inf` stand for 200 beyond the finite ones.
        k: Units to open, in [0, n]; one number or one per row. A traced value outside
            is clipped.

    Raises:
        ValueError: If a concrete `k` is outside [0, n].
    """
    k_rows = per_row("k_subset", k, scores).astype(jnp.int32)
    last, _ = _recursion(_finite(scores), widest(k, scores.shape[-1]))
    return jnp.take_along_axis(last, k_rows, -1)[..., 0]


def k_subset_marginals(
    scores: Float[Array, "*batch n"], k: Count
) -> Float[Array, "*batch n"]:
    """Probability of each unit under the k-subset distribution; sums to `k`.

    Exact (SIMPLE: Ahmed, Zeng, Niepert and Van den Broeck, 2023, arXiv:2210.01941), in
    (0, 1), nested in `k`, differentiable any number of times by the scores: a soft
    top-k mask of its own, whose temperature is a division of the scores. Not the
    inclusion probabilities of Gumbel top-k sampling (`gumbel_topk_mask`).

    Args:
        scores: Logits.
        k: Units to open, in [0, n], as in `k_subset_log_partition`.

    Returns:
        The marginals, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` is outside [0, n].
    """
    total = lambda s: k_subset_log_partition(s, k).sum()
    wide = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    # Rounding may leave [0, 1] by a last place; the slope is kept.
    marginals = jax.grad(total)(_finite(wide))
    excess = jax.lax.stop_gradient(marginals - jnp.clip(marginals, 0, 1))
    return (marginals - excess).astype(scores.dtype)


def k_subset_sample(
    key: PRNGKeyArray, scores: Float[Array, "*batch n"], k: Count
) -> Float[Array, "*batch n"]:
    """Exact sample of the k-subset distribution: always `k` ones. No gradient.

    `straight_through(sample, k_subset_marginals(scores, k))` is the SIMPLE estimator.

    Args:
        key: One draw per row.
        scores: Logits.
        k: Units to open, in [0, n], as in `k_subset_log_partition`.

    Returns:
        Zeros and ones, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` is outside [0, n].
    """
    left = per_row("k_subset", k, scores).astype(jnp.int32)
    logits = _finite(jax.lax.stop_gradient(scores))
    _, before = _recursion(logits, widest(k, scores.shape[-1]))
    noise = jax.random.logistic(key, logits.shape, logits.dtype)
    at = functools.partial(jnp.take_along_axis, axis=-1)

    def visit(left, unit):  # last unit first: with it or without it among the others
        logit, noise, before = unit
        taken = logit + at(before, jnp.maximum(left - 1, 0))
        odds = jnp.where(left > 0, taken - at(before, left), -jnp.inf)
        certain = (left > 0) & (at(before, left) <= _IMPOSSIBLE / 2)
        opened = certain | (odds + noise > 0)
        return left - opened, opened[..., 0]

    first = lambda units: jnp.moveaxis(units, -1, 0)[..., None]
    units = (first(logits), first(noise), before)
    _, opened = jax.lax.scan(visit, left, units, reverse=True)
    return jnp.moveaxis(opened, 0, -1).astype(scores.dtype)


def k_subset_log_prob(
    scores: Float[Array, "*batch n"], mask: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    r"""Log-probability of a hard `mask` under the k-subset distribution of its count.

    Its gradient by the scores is `mask - k_subset_marginals(scores, k)`, the score
    function that unbiased estimators multiply losses by (SFESS: Wijk, Vinuesa and
    Azizpour, 2025, arXiv:2407.16058).

    Args:
        scores: Logits.
        mask: Zeros and ones.
    """
    k = mask.sum(-1).astype(jnp.int32)
    logits = _finite(scores)
    chosen = (logits * jax.lax.stop_gradient(mask)).sum(-1)
    return chosen - k_subset_log_partition(logits, k)


def k_subset_score(
    scores: Float[Array, "*batch n"], mask: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Gradient of `k_subset_log_prob` by the scores: `mask` minus the marginals.

    Args:
        scores: Logits.
        mask: Zeros and ones.
    """
    k: Int[Array, "*batch"] = mask.sum(-1).astype(jnp.int32)
    return mask - k_subset_marginals(scores, k)


def _finite(scores):
    """The scores in float32 at least, infinite ones 200 beyond the others."""
    x = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
    finite = jnp.isfinite(x)
    frozen = jax.lax.stop_gradient(x)
    high = jnp.where(finite, frozen, -jnp.inf).max(-1, keepdims=True)
    low = jnp.where(finite, frozen, jnp.inf).min(-1, keepdims=True)
    high, low = (jnp.where(jnp.isfinite(end), end, 0) for end in (high, low))
    x = jnp.where(x == jnp.inf, high + _CERTAIN, x)
    return jnp.where(x == -jnp.inf, low - _CERTAIN, x)


def _recursion(logits, width: int):
    """Log of the elementary symmetric polynomials of orders 0 to `width`.

    Returns:
        Those of all units, [*batch, width + 1], and those of the units before each
        one, [n, *batch, width + 1].
    """
    none = jnp.full((*logits.shape[:-1], width + 1), _IMPOSSIBLE, logits.dtype)
    none = none.at[..., 0].set(0)

    def add(polynomials, logit):
        with_it = polynomials[..., :-1] + logit[..., None]
        without = polynomials[..., 1:]
        higher = jnp.logaddexp(without, with_it)
        new = jnp.concatenate([polynomials[..., :1], higher], -1)
        return new, polynomials

    return jax.lax.scan(add, none, jnp.moveaxis(logits, -1, 0))
