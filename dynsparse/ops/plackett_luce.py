"""Gumbel top-k: sampling without replacement from a softmax (Plackett-Luce)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from dynsparse.ops.counts import Count
from dynsparse.ops.hard import hard_topk_mask
from dynsparse.ops.infinite import finite
from dynsparse.ops.precision import widened

_SURE = 200.0  # further apart, one of two scores is always drawn first


def gumbel_perturb(
    key: PRNGKeyArray, scores: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """The scores plus standard Gumbel noise, drawn and returned in float32 at least.

    Noise in bfloat16 would have 128 values and no tail.

    Args:
        key: One draw per score.
        scores: Logits.

    Example:
        >>> logits = jnp.log(jnp.array([0.7, 0.2, 0.1]))
        >>> scores = jnp.broadcast_to(logits, (1000, 3))
        >>> first = ops.gumbel_perturb(jax.random.key(0), scores).argmax(-1)
        >>> jnp.bincount(first) / 1000
        Array([0.7 , 0.19, 0.11], dtype=float32)
    """
    wide = widened(scores)
    return wide + jax.random.gumbel(key, wide.shape, wide.dtype)


def gumbel_topk_mask(
    key: PRNGKeyArray, scores: Float[Array, "*batch n"], k: Count
) -> Float[Array, "*batch n"]:
    """Mask of `k` units drawn one after the other from softmax(scores). No gradient.

    The `k` largest of the perturbed scores are an ordered sample without replacement
    (Kool, van Hoof and Welling, 2019, arXiv:1903.06059), of Plackett's (1975) and
    Luce's (1959) distribution. The inclusion probabilities have no closed form and are
    not those of the k-subset distribution.

    Args:
        key: One draw per row.
        scores: Logits of the softmax.
        k: Units to open, in [0, n]; one number or one per row. A traced value outside
            is clipped.

    Returns:
        Zeros and ones, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` is outside [0, n].

    Example:
        >>> scores = jnp.array([9.0, 0.0, 0.0, -9.0])
        >>> ops.gumbel_topk_mask(jax.random.key(0), scores, 2)
        Array([1., 1., 0., 0.], dtype=float32)
    """
    return hard_topk_mask(gumbel_perturb(key, scores), k).astype(scores.dtype)


def plackett_luce_log_prob(
    scores: Float[Array, "*batch n"], order: Int[Array, "*batch k"]
) -> Float[Array, "*batch"]:
    r"""Log-probability of drawing exactly the units `order`, in that order.

    $\sum_j s_{o_j} - \log \sum_{i \notin \{o_1 \ldots o_{j-1}\}} e^{s_i}$.

    Args:
        scores: Logits of the softmax; infinite ones are 200 from the others.
        order: Different indices in [0, n), the first drawn first.

    Returns:
        In float32 at least.

    Example:
        >>> scores = jnp.log(jnp.array([0.5, 0.3, 0.2]))
        >>> log_prob = ops.plackett_luce_log_prob(scores, jnp.array([0, 1]))
        >>> jnp.exp(log_prob)  # 0.5 * 0.3 / (1 - 0.5)
        Array(0.3, dtype=float32)
    """
    scores = finite(scores, _SURE)

    def one_row(scores, order):
        units = jnp.arange(len(scores), dtype=order.dtype)
        drawn = (order[:, None] == units[None]).astype(jnp.int32)
        gone = jnp.cumsum(drawn, 0) - drawn > 0  # [draw, unit]
        rows = jnp.broadcast_to(scores[None], gone.shape)
        left = jax.nn.logsumexp(rows, axis=-1, where=~gone)
        return (scores[order] - left).sum()

    return jnp.vectorize(one_row, signature="(n),(k)->()")(scores, order)
