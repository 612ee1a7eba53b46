"""Masks from relaxed sorting: the first k rows of a soft permutation, added up."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.ops.counts import RealCount, per_row, require_positive, widest
from dynsparse.ops.infinite import levels, without_infinities
from dynsparse.ops.precision import widened


def neural_sort_mask(
    scores: Float[Array, "*batch n"],
    k: RealCount,
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch n"]:
    r"""Sum of the first `k` rows of NeuralSort's relaxed permutation.

    Row i is $\mathrm{softmax}(((n + 1 - 2 i) s - A) / T)$ with
    $A_j = \sum_l |s_j - s_l|$ (Grover, Wang, Zweig and Ermon, 2019, arXiv:1903.08850).
    Each row sums to 1, hence the mask to `k`, but **columns do not: entries exceed 1**,
    often at low temperatures. Use it behind a hard forward mask, never as a gate's
    mask or as probabilities. The logits grow with n, so a temperature does not carry
    over to another n. O(k n) memory, O(n^2) where `k` is traced. Scores of `inf` take
    the first rows, evenly; `-inf` forbids a unit.

    Args:
        scores: Higher is more likely to be open.
        k: Sum of the mask, in [0, n], real; one number or one per row. A traced value
            outside is clipped.
        temperature: T > 0, in units of `scores` times n.

    Returns:
        The mask, non-negative, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` or `temperature` is out of range.

    Example:
        >>> ops.neural_sort_mask(jnp.array([3.0, 1.0, 0.0]), 1)
        Array([0.88, 0.12, 0.01], dtype=float32)
    """
    require_positive("neural_sort_mask", temperature=temperature)

    def logits(x, num_rows):
        finite, values = jnp.isfinite(x), without_infinities(x)
        gaps = jnp.abs(values[:, None] - values[None, :])
        distance = jnp.where(finite[None, :], gaps, 0).sum(-1)
        rows = jnp.arange(num_rows) - (x == jnp.inf).sum()  # from the first finite one
        scale = (finite.sum() - 1 - 2 * rows).astype(x.dtype)
        return (scale[:, None] * values[None, :] - distance[None, :]) / temperature

    return _first_rows("neural_sort_mask", logits, scores, k)


def soft_sort_mask(
    scores: Float[Array, "*batch n"],
    k: RealCount,
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch n"]:
    r"""Sum of the first `k` rows of SoftSort's relaxed permutation.

    Row i is $\mathrm{softmax}(-|s_{[i]} - s| / T)$, $s_{[i]}$ being the i-th largest
    score (Prillo and Eisenschlos, 2020, arXiv:2006.16038). Each row sums to 1, hence
    the mask to `k`, but **entries may exceed 1**: use it behind a hard forward mask,
    never as a gate's mask or as probabilities. Kinks at ties. O(k n) memory, O(n^2)
    where `k` is traced. Scores of `inf` take the first rows, evenly; `-inf` forbids a
    unit.

    Args:
        scores: Higher is more likely to be open.
        k: Sum of the mask, in [0, n], real; one number or one per row. A traced value
            outside is clipped.
        temperature: T > 0, in units of `scores`.

    Returns:
        The mask, non-negative, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` or `temperature` is out of range.

    Example:
        >>> ops.soft_sort_mask(jnp.array([3.0, 1.0, 0.0]), 1)
        Array([0.84, 0.11, 0.04], dtype=float32)
    """
    require_positive("soft_sort_mask", temperature=temperature)

    def logits(x, num_rows):
        largest = without_infinities(-jnp.sort(-x)[:num_rows])
        return -jnp.abs(largest[:, None] - without_infinities(x)[None, :]) / temperature

    return _first_rows("soft_sort_mask", logits, scores, k)


def _first_rows(operator, logits, scores, k):
    """The rows of softmax(logits(x, num_rows)) up to the k-th, added."""
    num_rows = widest(k, scores.shape[-1])
    counts = per_row(operator, k, scores)[..., 0]

    def mask(x, k):
        before = jnp.arange(num_rows, dtype=x.dtype)
        share = jnp.clip(k.astype(x.dtype) - before, 0, 1)[:, None]
        units, ranks = levels(x)
        allowed = ranks[:num_rows, None] == units[None, :]
        rows = jnp.where(allowed, logits(x, num_rows), -jnp.inf)
        return (share * jax.nn.softmax(rows, -1)).sum(0)

    wide = widened(scores)
    rows = jnp.vectorize(mask, signature="(n),()->(n)")(wide, counts)
    return rows.astype(scores.dtype)
