"""A unit's mask from its own logit and noise: relaxed and hard Bernoulli samples.

Noise is float32 whatever the dtype of the logits, since bfloat16 noise has no tail.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import require_positive
from dynsparse.ops.hard import straight_through
from dynsparse.ops.precision import widened


def logistic_perturb(
    key: PRNGKeyArray, logits: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    r"""The logits plus logistic noise, in float32 at least.

    Positive with probability $\sigma$(logit); the difference of two Gumbel variables.

    Args:
        key: One draw per logit.
        logits: Of opening.
    """
    wide = widened(logits)
    return wide + jax.random.logistic(key, wide.shape, wide.dtype)


def binary_concrete(
    key: PRNGKeyArray,
    logits: Float[Array, "*shape"],
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*shape"]:
    r"""Relaxed Bernoulli sample $\sigma((a + L) / T)$, L logistic.

    Maddison, Mnih and Teh (2016, arXiv:1611.00712), or the soft Gumbel-sigmoid (Jang,
    Gu and Poole, 2016, arXiv:1611.01144). Above one half with probability $\sigma(a)$
    at every temperature. Unbiased for the loss of the relaxed mask, biased for that of
    the hard one that evaluation uses.

    Args:
        key: One draw per logit.
        logits: a.
        temperature: T > 0. The variance of the gradient grows as 1 / T.

    Returns:
        The mask, in (0, 1) up to rounding, in the shape and dtype of `logits`.

    Raises:
        ValueError: If a concrete `temperature` is not positive.
    """
    require_positive("binary_concrete", temperature=temperature)
    return jax.nn.sigmoid(logistic_perturb(key, logits) / temperature).astype(
        logits.dtype
    )


def gumbel_sigmoid(
    key: PRNGKeyArray,
    logits: Float[Array, "*shape"],
    temperature: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*shape"]:
    r"""Bernoulli sample with the gradient of the binary concrete one.

    $1[a + L > 0]$ forward, $\sigma((a + L) / T)$ backward, under one draw of the noise
    (straight-through Gumbel-softmax of two classes: Jang, Gu and Poole, 2016,
    arXiv:1611.01144). Open with probability $\sigma(a)$; the gradient is biased.

    Args:
        key: One draw per logit.
        logits: a.
        temperature: T > 0. The variance of the gradient grows as 1 / T.

    Returns:
        Zeros and ones, in the shape and dtype of `logits`.

    Raises:
        ValueError: If a concrete `temperature` is not positive.
    """
    require_positive("gumbel_sigmoid", temperature=temperature)
    perturbed = logistic_perturb(key, logits)
    hard = (perturbed > 0).astype(perturbed.dtype)
    soft = jax.nn.sigmoid(perturbed / temperature)
    return straight_through(hard, soft).astype(logits.dtype)


def bernoulli_straight_through(
    key: PRNGKeyArray, logits: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    r"""Bernoulli sample with the gradient of its mean, $\sigma(a)$.

    Bengio, Leonard and Courville (2013, arXiv:1308.3432). Unbiased for losses that are
    linear in each unit, biased for others; no temperature.

    Args:
        key: One draw per logit.
        logits: a.

    Returns:
        Zeros and ones, in the shape and dtype of `logits`.
    """
    perturbed = logistic_perturb(key, logits)
    hard = (perturbed > 0).astype(perturbed.dtype)
    mean = jax.nn.sigmoid(logits.astype(perturbed.dtype))
    return straight_through(hard, mean).astype(logits.dtype)


def semantic_hash(
    key: PRNGKeyArray, scores: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    r"""Improved semantic hashing: a saturated sigmoid, rounded half of the time.

    With $v = s + N(0, 1)$: $v_1 = \mathrm{clip}(1.2\,\sigma(v) - 0.1, 0, 1)$ and
    $v_2 = 1[v > 0]$. Each row is $v_1$ or $v_2$ with equal probability, and the
    gradient always that of $v_1$ (Kaiser and Bengio, 2018, arXiv:1801.09797; for gates
    GaterNet: Chen, Li, Bengio and Si, 2018, arXiv:1811.11205). Open with probability
    $\Phi(s)$.

    Misuse: no gradient where $v$ is beyond about 2.4 on either side.

    Args:
        key: Of the noise and of the choice.
        scores: s.

    Returns:
        The mask, in [0, 1], in the shape and dtype of `scores`.
    """
    noise_key, choice_key = jax.random.split(key)
    wide = widened(scores)
    v = wide + jax.random.normal(noise_key, wide.shape, wide.dtype)
    soft = jnp.clip(1.2 * jax.nn.sigmoid(v) - 0.1, 0, 1)
    hard = straight_through((v > 0).astype(v.dtype), soft)
    rounded = jax.random.bernoulli(choice_key, 0.5, (*v.shape[:-1], 1))
    return jnp.where(rounded, hard, soft).astype(scores.dtype)
