r"""The k-subset distribution: p(z) proportional to exp(scores @ z) over |z| = k.

The distribution of independent Bernoulli variables, with the scores as logits, given
that exactly k of them are 1. Its partition function, marginals, samples and
log-probabilities here come from one recursion over the units, hence they agree.
O(n k) time and memory where `k` is an int; a traced `k` costs as much as k = n.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import Count, per_row, widest
from dynsparse.ops.infinite import allowed, finite

_BEYOND = 200.0  # where infinite scores are put
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
            is clipped, and so is one above the units that `-inf` does not forbid.

    Raises:
        ValueError: If a concrete `k` is outside [0, n].

    Example:
        >>> jnp.exp(ops.k_subset_log_partition(jnp.zeros(4), 2))  # 4 choose 2
        Array(6., dtype=float32)
    """
    k_rows = per_row("k_subset", k, scores).astype(jnp.int32)
    x = finite(scores, _BEYOND)
    return _log_partition(x, k_rows, widest(k, scores.shape[-1]))


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

    Example:
        >>> ops.k_subset_marginals(jnp.array([1.0, 0.0, 0.0]), 2)
        Array([0.84, 0.58, 0.58], dtype=float32)
    """
    k_rows = per_row("k_subset", k, scores).astype(jnp.int32)
    width = widest(k, scores.shape[-1])
    total = lambda x: _log_partition(x, k_rows, width).sum()
    marginals = jax.grad(total)(finite(scores, _BEYOND))
    marginals = jnp.where(allowed(scores), marginals, 0)
    # Rounding may leave [0, 1] by a last place; the slope is kept.
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

    Example:
        >>> ops.k_subset_sample(jax.random.key(0), jnp.zeros((2, 4)), 2).sum(-1)
        Array([2., 2.], dtype=float32)
    """
    left = per_row("k_subset", k, scores).astype(jnp.int32)
    _, logits = _centred(finite(jax.lax.stop_gradient(scores), _BEYOND), left)
    _, before = _recursion(logits, widest(k, scores.shape[-1]))
    noise = jax.random.logistic(key, logits.shape, logits.dtype)
    at = functools.partial(jnp.take_along_axis, axis=-1)

    def visit(left, unit):  # last unit first: with it or without it among the others
        logit, noise, before, num_before = unit
        odds = logit + at(before, jnp.maximum(left - 1, 0)) - at(before, left)
        opened = (left > 0) & ((left > num_before) | (odds + noise > 0))
        return left - opened.astype(left.dtype), opened[..., 0]

    first = lambda units: jnp.moveaxis(units, -1, 0)[..., None]
    places = jnp.arange(logits.shape[-1], dtype=left.dtype)
    units = (first(logits), first(noise), before, places)
    _, opened = jax.lax.scan(visit, left, units, reverse=True)
    opened = jnp.moveaxis(opened, 0, -1) & allowed(scores)
    return opened.astype(scores.dtype)


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

    Example:
        >>> mask = jnp.array([1.0, 0.0, 1.0, 0.0])
        >>> jnp.exp(ops.k_subset_log_prob(jnp.zeros(4), mask))  # one of 6
        Array(0.17, dtype=float32)
    """
    k = (mask > 0).sum(-1, dtype=jnp.int32)
    logits = finite(scores, _BEYOND)
    chosen = (logits * jax.lax.stop_gradient(mask).astype(logits.dtype)).sum(-1)
    return chosen - k_subset_log_partition(logits, k)


def _log_partition(x, k, width: int):
    """`k_subset_log_partition` of finite scores, `k` being [*batch, 1]."""
    shift, logits = _centred(x, k)
    last, _ = _recursion(logits, width)
    log_prob = jnp.take_along_axis(last, k, -1)
    shifted = log_prob + k.astype(shift.dtype) * shift
    return shifted[..., 0] + jax.nn.softplus(logits).sum(-1)


def _centred(x, k):
    """Returns a shift without gradient, and the logits that are left around it.

    Half-way between the k-th and the next score: then about k units have odds above
    one, k is a likely count, and float32 resolves its log-probability.
    """
    ordered = -jnp.sort(-jax.lax.stop_gradient(x), -1)
    at = lambda index: jnp.take_along_axis(
        ordered, jnp.clip(index, 0, x.shape[-1] - 1), -1
    )
    shift = at(k - 1) / 2 + at(k) / 2
    return shift, x - shift


def _recursion(logits, width: int):
    """Log-probabilities that 0 to `width` of independent units open (Poisson-binomial).

    Unlike the elementary symmetric polynomials that they are up to a factor, they stay
    near 0 where they matter.

    Returns:
        Those of all units, [*batch, width + 1], and those of the units before each
        one, [n, *batch, width + 1].
    """
    orders = jnp.where(jnp.arange(width + 1) == 0, 0.0, _IMPOSSIBLE)
    orders = orders.astype(logits.dtype)
    start = jnp.broadcast_to(orders, (*logits.shape[:-1], width + 1))
    start = start + 0 * logits[..., :1]  # varies over devices as the logits do

    def add(log_probs, unit):
        log_open, log_closed = unit
        with_it = log_probs[..., :-1] + log_open
        without = log_probs + log_closed
        higher = _log_add(without[..., 1:], with_it)
        return jnp.concatenate([without[..., :1], higher], -1), log_probs

    first = lambda units: jnp.moveaxis(units, -1, 0)[..., None]
    units = first(jax.nn.log_sigmoid(logits)), first(jax.nn.log_sigmoid(-logits))
    return jax.lax.scan(add, start, units)


def _log_add(a, b):
    """`jnp.logaddexp`, whose second derivative at a tie is wrong inside of a scan."""
    top = jax.lax.stop_gradient(jnp.maximum(a, b))
    return top + jnp.log(jnp.exp(a - top) + jnp.exp(b - top))
