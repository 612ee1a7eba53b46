"""The hard concrete distribution: relaxed samples that are exactly 0 or 1 at times."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.bernoulli import binary_concrete
from dynsparse.ops.counts import require_positive
from dynsparse.ops.precision import widened

LOW, HIGH = -0.1, 1.1  # gamma and zeta of the paper


def hard_concrete(
    key: PRNGKeyArray | None,
    logits: Float[Array, "*shape"],
    temperature: float | Float[Array, ""] = 2 / 3,
    *,
    low: float = LOW,
    high: float = HIGH,
) -> Float[Array, "*shape"]:
    r"""Binary concrete sample, stretched to (low, high) and clipped to [0, 1].

    $\min(1, \max(0, (\zeta - \gamma)\,\sigma((L + a) / \beta) + \gamma))$ (Louizos,
    Welling and Kingma, 2018, arXiv:1712.01312). Exact zeros and ones have positive
    probability, so that the expected number of open units is differentiable:
    `hard_concrete_open_prob`.

    Args:
        key: One draw per logit; None for the mask that the paper uses at test time,
            $(\zeta - \gamma)\,\sigma(a) + \gamma$, clipped.
        logits: a, the paper's log alpha.
        temperature: $\beta > 0$; 2/3 in the paper.
        low: $\gamma < 0$.
        high: $\zeta > 1$.

    Returns:
        The mask, in [0, 1], in the shape and dtype of `logits`.

    Raises:
        ValueError: If a concrete value is out of range.

    Example:
        >>> ops.hard_concrete(None, jnp.array([-3.0, 0.0, 3.0]))
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    _check(temperature, low, high)
    wide = widened(logits)
    if key is None:
        sample = jax.nn.sigmoid(wide)
    else:
        sample = binary_concrete(key, wide, temperature)
    stretched = sample * (high - low) + low
    return jnp.clip(stretched, 0, 1).astype(logits.dtype)


def hard_concrete_open_prob(
    logits: Float[Array, "*shape"],
    temperature: float | Float[Array, ""] = 2 / 3,
    *,
    low: float = LOW,
    high: float = HIGH,
) -> Float[Array, "*shape"]:
    r"""Probability that a sample is above 0: $\sigma(a - \beta \log(-\gamma/\zeta))$.

    The sum is the expected L0 norm of the mask; weighted by costs, the expected cost.

    Args:
        logits: a.
        temperature: $\beta > 0$.
        low: $\gamma < 0$.
        high: $\zeta > 1$.

    Raises:
        ValueError: If a concrete value is out of range.

    Example:
        >>> ops.hard_concrete_open_prob(jnp.array([-3.0, 0.0, 3.0]))
        Array([0.2 , 0.83, 0.99], dtype=float32)
    """
    _check(temperature, low, high)
    wide = widened(logits)
    offset = temperature * math.log(-low / high)
    return jax.nn.sigmoid(wide - offset).astype(logits.dtype)


def _check(temperature, low, high):
    require_positive("hard_concrete", temperature=temperature)
    if not low < 0 < 1 < high:
        raise ValueError(
            f"hard_concrete needs low < 0 and high > 1, got {low} and {high}."
        )
