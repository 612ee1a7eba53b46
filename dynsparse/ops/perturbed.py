"""Perturbed top-k: the mean of hard masks under noise, through optax.perturbations."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import Count, per_row, require_positive
from dynsparse.ops.hard import hard_topk_mask
from dynsparse.ops.infinite import allowed, finite

_BEYOND = 200.0  # times the scale of the noise, where infinite scores are put


def perturbed_topk_mask(
    key: PRNGKeyArray,
    scores: Float[Array, "*batch n"],
    k: Count,
    *,
    sigma: float | Float[Array, ""],
    num_samples: int,
) -> Float[Array, "*batch n"]:
    r"""Mean over noise of hard top-k masks, with derivatives from the score function.

    $E[\mathrm{topk}(s + \sigma Z)]$ and its Jacobian, both estimated without bias from
    `num_samples` draws of Gumbel noise Z (Berthet et al., 2020, arXiv:2002.08676; for
    masks of patches Cordonnier et al., 2021, arXiv:2104.03059). Every draw opens `k`
    units, so the mask sums to `k` and lies in [0, 1], in steps of 1 / `num_samples`;
    the Jacobian sums to 0 only in expectation. O(`num_samples` n) memory.

    Pitfall: the variance of the gradient grows as $1 / \sigma^2$; with few samples it
    drowns the signal. Rows are perturbed apart: one draw over a whole batch would let
    each row's noise into the gradients of all the others.

    Args:
        key: Split over the rows.
        scores: Higher is more likely to be open.
        k: Units to open, in [0, n]; one number or one per row. A traced value outside
            is clipped.
        sigma: Scale of the noise, > 0, in units of `scores`.
        num_samples: Draws per row, at least 1.

    Returns:
        The mask, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete value is out of range.

    Example:
        >>> key, scores = jax.random.key(0), jnp.array([2.0, 1.0, -9.0])
        >>> ops.perturbed_topk_mask(key, scores, 1, sigma=1.0, num_samples=10)
        Array([0.8, 0.2, 0. ], dtype=float32)
    """
    require_positive("perturbed_topk_mask", sigma=sigma, num_samples=num_samples)
    n = scores.shape[-1]
    counts = per_row("perturbed_topk_mask", k, scores).astype(jnp.int32).reshape(-1)
    rows = finite(scores, _BEYOND * sigma).reshape(-1, n)

    def one_row(key, row, k):
        topk: Any = lambda scores: hard_topk_mask(scores, k)
        smoothed: Any = optax.perturbations.make_perturbed_fun(
            topk, num_samples=num_samples, sigma=sigma
        )
        return smoothed(key, row)

    bits = jax.random.key_data(jax.random.split(key, len(rows)))
    bits += jnp.zeros_like(counts, bits.dtype)[:, None]  # and sharded as the rows are
    keys = jax.random.wrap_key_data(bits, impl=jax.random.key_impl(key))
    mask = jax.vmap(one_row)(keys, rows, counts)
    mask = jnp.where(allowed(scores), mask.reshape(scores.shape), 0)
    return mask.astype(scores.dtype)
