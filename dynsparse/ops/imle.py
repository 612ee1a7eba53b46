"""Implicit maximum-likelihood estimation: a gradient from two hard top-k masks."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import Count, require_count, require_positive
from dynsparse.ops.hard import hard_topk_mask
from dynsparse.ops.plackett_luce import gumbel_perturb


def imle_topk_mask(
    key: PRNGKeyArray,
    scores: Float[Array, "*batch n"],
    k: Count,
    step: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch n"]:
    r"""Hard mask of the perturbed scores, with a gradient from a perturbed target.

    Forward $z(s) = \mathrm{topk}(s + \epsilon)$ with Gumbel noise; the gradient by the
    scores of a loss with cotangent g is
    $(z(s) - z(s - \lambda g)) / \lambda$ under the same noise (I-MLE: Niepert,
    Minervini and Franceschi, 2021, arXiv:2106.01798). Both masks hold `k` ones, so the
    gradient sums to exactly 0; its entries are $\pm 1 / \lambda$ or 0.

    Differs from the paper: divided by the step, as in AIMLE (Minervini, Franceschi and
    Niepert, 2022, arXiv:2209.04862), so that the step does not scale the gradient; and
    Gumbel noise instead of sums of Gamma variables.

    Pitfall: biased, and exactly 0 where the step times the cotangent moves no unit past
    another; the step is in units of scores over cotangents, so it depends on the loss.

    Args:
        key: One draw per row.
        scores: Logits.
        k: Units to open, in [0, n]; one number or one per row. A traced value outside
            is clipped.
        step: $\lambda > 0$.

    Returns:
        Zeros and ones, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` or `step` is out of range.

    Example:
        >>> key, scores = jax.random.key(0), jnp.array([2.0, 1.0, -1.0])
        >>> ops.imle_topk_mask(key, scores, 1)
        Array([1., 0., 0.], dtype=float32)
        >>> jax.grad(lambda s: 4 * ops.imle_topk_mask(key, s, 1)[0])(scores)
        Array([ 1., -1.,  0.], dtype=float32)
    """
    require_count("imle_topk_mask", k, scores.shape[-1])
    require_positive("imle_topk_mask", step=step)
    perturbed = gumbel_perturb(key, scores)
    mask = _topk_with_target(perturbed, jnp.asarray(k), jnp.float32(step))
    return mask.astype(scores.dtype)


@jax.custom_vjp
def _topk_with_target(perturbed, k, step):
    return hard_topk_mask(perturbed, k)


def _forward(perturbed, k, step):
    mask = hard_topk_mask(perturbed, k)
    return mask, (perturbed, mask, k, step)


def _backward(kept, cotangent):
    perturbed, mask, k, step = kept
    target = hard_topk_mask(perturbed - step * cotangent, k)
    zero = functools.partial(jnp.zeros_like, dtype=jax.dtypes.float0)
    return (mask - target) / step, zero(k), jnp.zeros_like(step)


_topk_with_target.defvjp(_forward, _backward)
