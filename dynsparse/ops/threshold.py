"""The threshold family: soft masks with an exact budget.

A mask of the family is `F((scores - threshold) / temperature)`, where the threshold is
the number that makes the mask sum to k. This file holds the logistic member.
"""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num


def soft_topk_mask(
    scores: Float[Array, "*batch n"],
    k: int | float | Num[Array, "*#batch"],
    temperature: float | Float[Array, "*#batch"] = 1.0,
) -> Float[Array, "*batch n"]:
    r"""Relaxed top-k mask: entries in [0, 1], each row sums to `k`.

    Solves $\sum_i \sigma((s_i - \theta) / T) = k$ for $\theta$ and returns
    $\sigma((s - \theta) / T)$, which maximises $\langle s, m \rangle + T H_b(m)$ over
    the capped simplex $\{0 \le m \le 1, \sum_i m_i = k\}$ (Amos, Koltun and Kolter,
    2019, "The limited multi-label projection layer"). The mask keeps the order of the
    scores, shares ties equally, and is nested in `k`: raising `k` lowers no entry.

    Derivatives of any order are those of the implicit function theorem, with
    $d_i = \sigma'(u_i) / T$, $w = d / \sum_j d_j$ and $u = (s - \theta) / T$:
    $\partial m / \partial s = \mathrm{diag}(d) - d d^T / \sum_j d_j$ and
    $\partial m / \partial k = w$. The solver compares the two tails of the mask around
    the threshold instead of summing the mask, so that the threshold stays right where
    every entry rounds to 0 or 1 (a float32 sum is flat there).

    Gradients vanish as $e^{-\mathrm{gap} / 2T}$, with gap the difference of the k-th
    and (k+1)-th score: a temperature far below the gap teaches the scores nothing.

    Args:
        scores: Unnormalised preferences; higher is more likely to be open. `-inf`
            forbids a unit, `inf` opens it before all finite ones, `nan` makes its whole
            row `nan`. Computed in float32 at least.
        k: Units to open, real, in [0, n]; one number or one per row. A traced value
            outside is clipped. 0 and n give exact zeros and ones, with zero gradient
            for the scores and the one-sided limit for `k`.
        temperature: Width of the relaxation, > 0, in units of `scores`; one number or
            one per row. Towards 0 the mask becomes the hard top-k mask, towards
            infinity every entry becomes k / n.

    Returns:
        The mask, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` is outside [0, n] or a concrete `temperature` is
            not positive.
    """
    n = scores.shape[-1]
    _require(k, lambda k: (k >= 0) & (k <= n), f"k in [0, {n}]")
    _require(temperature, lambda t: t > 0, "temperature > 0")
    dtype = jnp.promote_types(scores.dtype, jnp.float32)
    x = scores.astype(dtype)
    rows = (*scores.shape[:-1], 1)
    k = jnp.broadcast_to(jnp.asarray(k, dtype)[..., None], rows)
    temperature = jnp.broadcast_to(jnp.asarray(temperature, dtype)[..., None], rows)
    k = jnp.where(
        k < 0, 0, jnp.where(k > n, n, k)
    )  # jnp.clip halves slopes at its ends

    finite = jnp.isfinite(x)
    always = x == jnp.inf
    num_finite = finite.sum(-1, keepdims=True).astype(dtype)
    num_always = always.sum(-1, keepdims=True).astype(dtype)
    left = k - num_always
    left = jnp.where(left < 0, 0, jnp.where(left > num_finite, num_finite, left))
    # A row's mask is invariant to a shift; near zero, float32 resolves its scores best.
    top = jnp.where(finite, x, -jnp.inf).max(-1, keepdims=True)
    shifted = x - jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0))
    mask = _logistic_mask(jnp.where(finite, shifted, 0), left, temperature, finite)

    share = jnp.minimum(1, k / jnp.maximum(num_always, 1))
    mask = jnp.where(finite, mask, jnp.where(always, share, 0))
    mask = jnp.where(jnp.isnan(x).any(-1, keepdims=True), jnp.nan, mask)
    return mask.astype(scores.dtype)


def _require(value, holds, accepted: str):
    if isinstance(value, jax.core.Tracer):
        return
    if not holds(np.asarray(value)).all():
        raise ValueError(f"soft_topk_mask needs {accepted}, got {value}.")


# The mask has a derivative rule of its own because autodiff through the threshold would
# multiply 1 / sum(d), which overflows where all gates saturate, by d, which underflows.
# The threshold has one too, for the second and higher derivatives of the mask.


@jax.custom_jvp
def _logistic_mask(x, k, temperature, finite):
    u = (x - _threshold(x, k, temperature, finite)) / temperature
    return jnp.where(finite, jax.nn.sigmoid(u), 0)


@_logistic_mask.defjvp
def _logistic_mask_jvp(primals, tangents):
    x, k, temperature, finite = primals
    dx, dk, dt, _ = tangents
    u, log_slope = _slopes(
        x, _threshold(x, k, temperature, finite), temperature, finite
    )
    weights = jax.nn.softmax(log_slope, axis=-1, where=finite)
    slope = jnp.where(finite, jnp.exp(log_slope), 0) / temperature
    move = dx - u * dt
    average = (weights * move).sum(-1, keepdims=True)
    mask = jnp.where(finite, jax.nn.sigmoid(u), 0)
    return mask, slope * (move - average) + weights * dk


@jax.custom_jvp
def _threshold(x, k, temperature, finite):
    return _solve(x, k, temperature, finite)


@_threshold.defjvp
def _threshold_jvp(primals, tangents):
    x, k, temperature, finite = primals
    dx, dk, dt, _ = tangents
    threshold = _threshold(x, k, temperature, finite)
    u, log_slope = _slopes(x, threshold, temperature, finite)
    weights = jax.nn.softmax(log_slope, axis=-1, where=finite)
    log_total = jax.nn.logsumexp(log_slope, axis=-1, keepdims=True, where=finite)
    log_largest = jnp.log(jnp.finfo(x.dtype).max) / 2
    inverse_total = temperature * jnp.exp(jnp.minimum(-log_total, log_largest))
    average = (weights * (dx - u * dt)).sum(-1, keepdims=True)
    return threshold, average - inverse_total * dk


def _slopes(x, threshold, temperature, finite):
    """Returns u and log F'(u); m (1 - m) instead loses one tail to rounding."""
    u = jnp.where(finite, (x - threshold) / temperature, 0)
    return u, -jax.nn.softplus(u) - jax.nn.softplus(-u)


def _solve(x, k, temperature, finite):
    """Returns the threshold, [*batch, 1], by bisection on the balance of the tails."""
    info = jnp.finfo(x.dtype)
    num_finite = finite.sum(-1, keepdims=True).astype(x.dtype)
    # Beyond `saturated` the logistic function is exactly 0 or 1, which serves k = 0, n.
    saturated = -1.3 * jnp.log(info.tiny)
    logit = jnp.log(k) - jnp.log(num_finite - k)
    logit = jnp.clip(jnp.where(num_finite > 0, logit, 0), -saturated, saturated)
    lowest = jnp.where(finite, x, jnp.inf).min(-1, keepdims=True)
    highest = jnp.where(finite, x, -jnp.inf).max(-1, keepdims=True)
    lowest = jnp.where(jnp.isfinite(lowest), lowest, 0)
    highest = jnp.where(jnp.isfinite(highest), highest, 0)

    def too_many(threshold):
        # sum(mask) - k = (units above - k) - (what they lack of 1) + (what those below
        # add). Both tails are sums of sigmoid(-|u|), scaled by exp(nearest) so that
        # they still compare where they underflow.
        above = finite & (x > threshold)
        distance = jnp.where(finite, jnp.abs(x - threshold) / temperature, jnp.inf)
        nearest = distance.min(-1, keepdims=True)
        nearest = jnp.where(jnp.isfinite(nearest), nearest, 0)
        scaled = jnp.exp(nearest - distance)
        tail = scaled / (1 + scaled * jnp.exp(-nearest))
        balance = jnp.where(above, -tail, tail).sum(-1, keepdims=True)
        surplus = above.sum(-1, keepdims=True).astype(x.dtype) - k
        excess = surplus + jnp.exp(-nearest) * balance
        return jnp.where(surplus == 0, balance, excess) > 0

    def halve(_, bracket):
        low, high = bracket
        middle = low + (high - low) / 2
        over = too_many(middle)
        return jnp.where(over, middle, low), jnp.where(over, high, middle)

    bracket = (lowest - temperature * logit, highest - temperature * logit)
    low, high = jax.lax.fori_loop(0, info.nmant + 10, halve, bracket)
    return low + (high - low) / 2
