"""Relaxed subset sampling: k softmaxes, each less the share that earlier ones took."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import Count, per_row, require_positive, widest
from dynsparse.ops.infinite import levels, without_infinities
from dynsparse.ops.plackett_luce import gumbel_perturb
from dynsparse.ops.precision import widened


def relaxed_subset_mask(
    key: PRNGKeyArray | None,
    scores: Float[Array, "*batch n"],
    k: Count,
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch n"]:
    r"""Relaxed sample of `k` units without replacement.

    $\alpha^1 = s + \mathrm{Gumbel}$, $p^j = \mathrm{softmax}(\alpha^j / T)$,
    $\alpha^{j+1} = \alpha^j + \log(1 - p^j)$, mask $= \sum_{j \le k} p^j$ (Xie and
    Ermon, 2019, arXiv:1901.10517). The mask sums to `k`, but **entries may exceed 1**:
    use it behind a hard forward mask. `k` sequential softmaxes, all kept for the
    gradient: O(k n) memory; a traced `k` costs as much as k = n. Scores of `inf` share
    the first softmaxes; `-inf` forbids a unit.

    Pitfall: each softmax multiplies differences between units by up to 1 / T. Far below
    T = 1, rounding decides among tied or widely spread scores after a few of
    them, and the gradient of many ties overflows; the mask still sums to `k`.

    Args:
        key: Draws the noise; None for the mask of the scores as they are.
        scores: Logits.
        k: Units to take, in [0, n]; one number or one per row. A traced value outside
            is clipped.
        temperature: T > 0; towards 0 the mask becomes a Gumbel top-k sample.

    Returns:
        The mask, non-negative, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` or `temperature` is out of range.

    Example:
        >>> ops.relaxed_subset_mask(None, jnp.array([2.0, 1.0, 0.0]), 2)
        Array([1.12, 0.62, 0.26], dtype=float32)
    """
    require_positive("relaxed_subset_mask", temperature=temperature)
    rows = per_row("relaxed_subset_mask", k, scores)
    left = _centred(widened(scores))
    left = left if key is None else gumbel_perturb(key, left)
    units, ranks = levels(left)
    left, tiny = without_infinities(left), jnp.finfo(left.dtype).tiny

    def take(carry, step):
        left, mask = carry
        j, rank = step
        allowed = rank[..., None] == units
        taken = jax.nn.softmax(jnp.where(allowed, left / temperature, -jnp.inf), -1)
        left = left + jnp.log(jnp.maximum(1 - taken, tiny))
        return (left, mask + jnp.where(j < rows, taken, 0)), None

    num_steps = widest(k, scores.shape[-1])
    steps = (
        jnp.arange(num_steps, dtype=rows.dtype),
        jnp.moveaxis(ranks, -1, 0)[:num_steps],
    )
    (_, mask), _ = jax.lax.scan(take, (left, jnp.zeros_like(left)), steps)
    return mask.astype(scores.dtype)


def _centred(scores):
    """The scores less the largest finite one: a shift of all changes not a bit."""
    finite = jnp.where(jnp.isfinite(scores), scores, -jnp.inf)
    top = jax.lax.stop_gradient(finite.max(-1, keepdims=True))
    return scores - jnp.where(jnp.isfinite(top), top, 0)
