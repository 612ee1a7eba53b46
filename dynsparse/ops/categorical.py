"""Masks of one unit in n: samples of a categorical variable, with a gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import require_positive
from dynsparse.ops.hard import straight_through
from dynsparse.ops.infinite import allowed, finite
from dynsparse.ops.plackett_luce import gumbel_perturb

_BEYOND = 60.0  # where infinite logits are put: e^-60 is not yet 0 in float32
_NEVER = -1e30  # where those of forbidden units are put: finite, and e^x is 0


def softmax(logits: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Softmax over the units that `-inf` does not forbid; `inf` takes all.

    Returns:
        The probabilities, in float32 at least: each row sums to 1, or is zeros where
        every unit is forbidden.

    Example:
        >>> ops.softmax(jnp.array([1.0, 1.0, -jnp.inf]))
        Array([0.5, 0.5, 0. ], dtype=float32)
    """
    return _softmax(finite(logits, _BEYOND), allowed(logits))


def gumbel_softmax(
    key: PRNGKeyArray,
    logits: Float[Array, "*batch n"],
    temperature: float | Float[Array, ""] = 1.0,
    *,
    hard: bool,
) -> Float[Array, "*batch n"]:
    r"""Relaxed one-hot sample $\mathrm{softmax}((a + G) / T)$, G Gumbel.

    Jang, Gu and Poole (2016, arXiv:1611.01144) and Maddison, Mnih and Teh (2016,
    arXiv:1611.00712). The largest entry is a sample of softmax(a).

    Args:
        key: One draw per logit.
        logits: a.
        temperature: T > 0. The variance of the gradient grows as 1 / T.
        hard: True for the one-hot vector of the largest entry with the gradient of the
            relaxed one (straight-through); biased.

    Returns:
        Each row sums to 1, in the shape and dtype of `logits`; zeros where all units
        are forbidden.

    Raises:
        ValueError: If a concrete `temperature` is not positive.

    Example:
        >>> ops.gumbel_softmax(jax.random.key(0), jnp.zeros(3), hard=True)
        Array([0., 1., 0.], dtype=float32)
    """
    require_positive("gumbel_softmax", temperature=temperature)
    perturbed = gumbel_perturb(key, finite(logits, _BEYOND))
    can = allowed(logits)
    soft = _softmax(perturbed / temperature, can)
    if hard:
        soft = straight_through(_one_hot(perturbed, can), soft)
    return soft.astype(logits.dtype)


def reinmax(
    key: PRNGKeyArray,
    logits: Float[Array, "*batch n"],
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch n"]:
    r"""One-hot sample with a gradient of second order (ReinMax).

    With D the sample of $\pi_0 = \mathrm{softmax}(a)$,
    $\pi_1 = (\mathrm{softmax}(a / T) + D) / 2$ and $J(\pi) = \mathrm{diag}(\pi) -
    \pi \pi^T$, the gradient is $2 J(\pi_1) g - J(\pi_0) g / 2$ (Liu et al., 2023,
    arXiv:2304.08612): at T = 1 the trapezoidal rule, exact in expectation for losses
    that are quadratic in D. Not always less biased than straight-through on others.

    Args:
        key: One draw per row.
        logits: a.
        temperature: T >= 1 is recommended; > 0.

    Returns:
        One-hot rows, in the shape and dtype of `logits`; zeros where all units are
        forbidden.

    Raises:
        ValueError: If a concrete `temperature` is not positive.

    Example:
        >>> ops.reinmax(jax.random.key(0), jnp.zeros(3))
        Array([0., 1., 0.], dtype=float32)
    """
    require_positive("reinmax", temperature=temperature)
    wide, can = finite(logits, _BEYOND), allowed(logits)
    sample = _one_hot(gumbel_perturb(key, wide), can)
    middle = (_softmax(wide / temperature, can) + sample) / 2
    # A softmax whose value is `middle`, for its Jacobian by the logits.
    least = jnp.finfo(wide.dtype).tiny
    shift = jax.lax.stop_gradient(jnp.log(jnp.maximum(middle, least)) - wide)
    pi_1, pi_0 = _softmax(wide + shift, can), _softmax(wide, can)
    return straight_through(sample, 2 * pi_1 - pi_0 / 2).astype(logits.dtype)


def _softmax(logits, can):
    probabilities = jax.nn.softmax(jnp.where(can, logits, _NEVER), -1)
    return jnp.where(can, probabilities, 0)


def _one_hot(scores, can):
    largest = jnp.where(can, scores, -jnp.inf).argmax(-1)
    hot = jax.nn.one_hot(largest, scores.shape[-1], dtype=scores.dtype)
    return jnp.where(can, hot, 0)
