"""Masks of units that decide alone, with noise: relaxed and hard Bernoulli samples.

Noise is float32 whatever the dtype of the logits, since bfloat16 noise has no tail.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.counts import require_positive
from dynsparse.ops.hard import straight_through
from dynsparse.ops.precision import widened
from dynsparse.ops.steps import hard_step


def logistic_perturb(
    key: PRNGKeyArray, logits: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    r"""The logits plus logistic noise, in float32 at least.

    Positive with probability $\sigma$(logit); the difference of two Gumbel variables.

    Args:
        key: One draw per logit.
        logits: Logits of the probability to open.

    Example:
        >>> logits = jnp.full(1000, 2.0)  # of probability 0.88
        >>> opened = ops.logistic_perturb(jax.random.key(0), logits) > 0
        >>> opened.mean()
        Array(0.87, dtype=float32)
    """
    wide = widened(logits)
    return wide + jax.random.logistic(key, wide.shape, wide.dtype)


def logit(prob: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logits whose sigmoid is `prob`, in float32; always finite.

    Args:
        prob: In [0, 1]; where exactly 0 or 1, as for gates that decide without noise,
            the logit has no gradient.

    Example:
        >>> ops.logit(jnp.array([0.0, 0.5, 1.0]))
        Array([-87.34,   0.  ,  16.64], dtype=float32)
    """
    prob = prob.astype(jnp.float32)
    ends = jnp.finfo(jnp.float32)
    prob = jnp.clip(prob, ends.tiny, 1 - ends.epsneg)
    return jnp.log(prob) - jnp.log1p(-prob)


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

    Example:
        >>> logits = jnp.array([-9.0, 0.0, 9.0])
        >>> ops.binary_concrete(jax.random.key(0), logits, 0.5)
        Array([0., 1., 1.], dtype=float32)
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

    Example:
        >>> ops.gumbel_sigmoid(jax.random.key(0), jnp.array([-9.0, 0.0, 9.0]), 0.5)
        Array([0., 1., 1.], dtype=float32)
    """
    require_positive("gumbel_sigmoid", temperature=temperature)
    perturbed = logistic_perturb(key, logits)
    soft = jax.nn.sigmoid(perturbed / temperature)
    return straight_through(hard_step(perturbed), soft).astype(logits.dtype)


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

    Example:
        >>> key = jax.random.key(0)
        >>> ops.bernoulli_straight_through(key, jnp.array([-9.0, 9.0]))
        Array([0., 1.], dtype=float32)
        >>> jax.grad(lambda a: ops.bernoulli_straight_through(key, a))(jnp.float32(0))
        Array(0.25, dtype=float32)
    """
    perturbed = logistic_perturb(key, logits)
    mean = jax.nn.sigmoid(logits.astype(perturbed.dtype))
    return straight_through(hard_step(perturbed), mean).astype(logits.dtype)


def semantic_hash(
    key: PRNGKeyArray, scores: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    r"""Improved semantic hashing: a saturated sigmoid, rounded half of the time.

    With $v = s + N(0, 1)$: $v_1 = \mathrm{clip}(1.2\,\sigma(v) - 0.1, 0, 1)$ and
    $v_2 = 1[v > 0]$. Each row is $v_1$ or $v_2$ with equal probability, and the
    gradient always that of $v_1$ (Kaiser and Bengio, 2018, arXiv:1801.09797; for gates
    GaterNet: Chen, Li, Bengio and Si, 2018, arXiv:1811.11205). Open with probability
    $\Phi(s)$.

    Pitfall: no gradient where $v$ is beyond about 2.4 on either side.

    Args:
        key: Draws the noise and the choice.
        scores: s.

    Returns:
        The mask, in [0, 1], in the shape and dtype of `scores`.

    Example:
        >>> ops.semantic_hash(jax.random.key(0), jnp.array([-9.0, 9.0]))
        Array([0., 1.], dtype=float32)
    """
    noise_key, choice_key = jax.random.split(key)
    wide = widened(scores)
    v = wide + jax.random.normal(noise_key, wide.shape, wide.dtype)
    soft = jnp.clip(1.2 * jax.nn.sigmoid(v) - 0.1, 0, 1)
    hard = straight_through(hard_step(v), soft)
    rounded = jax.random.bernoulli(choice_key, 0.5, (*v.shape[:-1], 1))
    return jnp.where(rounded, hard, soft).astype(scores.dtype)
