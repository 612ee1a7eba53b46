"""Hard masks with an exact count, and the straight-through estimator."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.ops.counts import Count, per_row
from dynsparse.ops.precision import widened


def hard_topk_mask(
    scores: Float[Array, "*batch n"], k: Count
) -> Float[Array, "*batch n"]:
    """Mask with ones at the `k` largest scores of each row: exactly `k`, ties included.

    Among equal scores the lower index is open. A score of `-inf` or `nan` forbids its
    unit: where `k` is above what is left, all of that opens and nothing else.

    No sort: the k-th largest score is found by bisection on the bits of the numbers,
    so `k` may be traced and differ by row at a cost of O(n) per bit. No gradient; wrap
    it with `straight_through` to train through it.

    Args:
        scores: Preferences; higher is more likely to be open.
        k: Units to open, in [0, n]; one number or one per row. A traced value outside
            is clipped.

    Returns:
        The mask of zeros and ones, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` is outside [0, n].

    Example:
        >>> ops.hard_topk_mask(jnp.array([0.3, 2.0, 1.0]), 2)
        Array([0., 1., 1.], dtype=float32)
    """
    return _highest(scores, per_row("hard_topk_mask", k, scores))


@functools.partial(jax.jit, inline=True)  # one program where it is called without jit
def _highest(scores, k):
    """The mask of the `k` largest scores of each row."""
    k = k.astype(jnp.int32)
    ranks = _ordered_bits(jax.lax.stop_gradient(scores))

    def count_from(level):
        return (ranks >= level).sum(-1, keepdims=True, dtype=jnp.int32)

    def halve(_, bracket):  # invariant: at least k ranks reach low, fewer reach high
        low, high = bracket
        middle = (low & high) + ((low ^ high) >> 1)  # the mean, without overflow
        enough = count_from(middle) >= k
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    info = jnp.iinfo(ranks.dtype)
    lowest = jnp.full_like(k, info.min, ranks.dtype)  # and sharded as k is
    highest = jnp.full_like(k, info.max, ranks.dtype)
    kth, _ = jax.lax.fori_loop(0, info.bits, halve, (lowest, highest))
    above = ranks > kth
    tied = ranks == kth
    left = k - above.sum(-1, keepdims=True, dtype=jnp.int32)
    first = jnp.cumsum(tied, -1, dtype=jnp.int32) <= left
    return (above | (tied & first)).astype(scores.dtype)


def _ordered_bits(scores):
    """Returns integers that are ordered as the scores are, `nan` with `-inf`."""
    wide = widened(scores)
    kind = jnp.int64 if wide.dtype == jnp.float64 else jnp.int32
    wide = jnp.where(jnp.isnan(wide), -jnp.inf, wide)
    wide = jnp.where(wide == 0, 0, wide)  # -0.0 ties with 0.0
    bits = jax.lax.bitcast_convert_type(wide, kind)
    return jnp.where(bits < 0, bits ^ jnp.iinfo(kind).max, bits)


def straight_through(
    hard: Float[Array, "*shape"], soft: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """The values of `hard` with the gradient of `soft`.

    The straight-through estimator (Bengio, Leonard and Courville, 2013,
    arXiv:1308.3432) with a surrogate of choice, which may lie anywhere.

    The value is bit-exact for every finite `soft`: the difference that is added is
    exactly 0, which the order `(hard + soft) - soft` does not give.

    Args:
        hard: Values of the result; gets no gradient.
        soft: Surrogate; gets the whole gradient.

    Example:
        >>> rounded = lambda x: ops.straight_through(jnp.round(x), x)
        >>> rounded(jnp.float32(0.7))
        Array(1., dtype=float32)
        >>> jax.grad(rounded)(jnp.float32(0.7))
        Array(1., dtype=float32)
    """
    frozen = jax.lax.stop_gradient
    return frozen(hard) + (soft - frozen(soft))
