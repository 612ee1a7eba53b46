"""Unbiased gradients from the losses of samples, without a relaxation.

Each surrogate is a number whose gradient by the logits is the estimate; the value has
no meaning.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.ops.infinite import without_infinities
from dynsparse.ops.precision import widened


def bernoulli_log_prob(
    logits: Float[Array, "*batch n"], mask: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Log-probability of a hard mask whose units open independently.

    Args:
        logits: Logits of the probability to open.
        mask: Zeros and ones.

    Returns:
        In float32 at least.

    Example:
        >>> log_prob = ops.bernoulli_log_prob(jnp.zeros(2), jnp.array([1.0, 0.0]))
        >>> jnp.exp(log_prob)
        Array(0.25, dtype=float32)
    """
    wide = widened(logits)
    sign = 2 * jax.lax.stop_gradient(mask).astype(wide.dtype) - 1
    return jax.nn.log_sigmoid(sign * wide).sum(-1)


def reinforce_surrogate(
    log_prob: Float[Array, "samples *batch"], losses: Float[Array, "samples *batch"]
) -> Float[Array, "*batch"]:
    r"""REINFORCE with the mean of the other samples' losses as each one's baseline.

    Gradient $\frac{1}{S} \sum_s (f_s - \frac{1}{S - 1} \sum_{r \ne s} f_r)
    \nabla \log p(z_s)$ (Williams, 1992; Kool, van Hoof and Welling, 2019, "Buy 4
    REINFORCE samples, get a baseline for free!"): unbiased for any distribution with a
    log-probability, as long as the samples are independent.

    Args:
        log_prob: Log-probability of each sample, differentiable.
        losses: Loss of each sample; gets no gradient.

    Raises:
        ValueError: If there are fewer than two samples.

    Example:
        >>> losses = jnp.array([3.0, 1.0])
        >>> surrogate = lambda log_prob: ops.reinforce_surrogate(log_prob, losses)
        >>> jax.grad(surrogate)(jnp.zeros(2))
        Array([ 1., -1.], dtype=float32)
    """
    samples = len(losses)
    if samples < 2:
        raise ValueError(f"reinforce_surrogate needs 2 samples or more, got {samples}.")
    centred = losses - losses.mean(0, keepdims=True)
    advantage = jax.lax.stop_gradient(centred) / (samples - 1)
    return (advantage * log_prob).sum(0)


def disarm_surrogate(
    logits: Float[Array, "*batch n"],
    masks: Float[Array, "2 *batch n"],
    losses: Float[Array, "2 *batch"],
) -> Float[Array, "*batch"]:
    r"""DisARM: an unbiased gradient from an antithetic pair of Bernoulli masks.

    Gradient by logit i $\frac{1}{2} (f(b) - f(\tilde b)) (-1)^{\tilde b_i}
    1[b_i \ne \tilde b_i]\,\sigma(|a_i|)$ (Dong, Mnih and Tucker, 2020,
    arXiv:2006.10680), with $b = 1[a + L > 0]$, $\tilde b = 1[a - L > 0]$ and logistic
    L. Less variance than REINFORCE for the same two evaluations.

    Pitfall: only for units whose logits do not depend on other sampled units of the
    same pair; a network with gates behind gates needs `reinforce_surrogate`.

    Args:
        logits: a, the same for both masks.
        masks: b and its antithetic partner.
        losses: Loss of each mask; gets no gradient.

    Example:
        >>> masks = jnp.array([[1.0, 1.0], [0.0, 1.0]])
        >>> losses = jnp.array([3.0, 1.0])
        >>> jax.grad(lambda a: ops.disarm_surrogate(a, masks, losses))(jnp.zeros(2))
        Array([0.5, 0. ], dtype=float32)
    """
    wide = widened(logits)
    first, second = jax.lax.stop_gradient(masks).astype(wide.dtype)
    losses = jax.lax.stop_gradient(losses).astype(wide.dtype)
    difference = (losses[0] - losses[1])[..., None]
    sign = first - second  # (-1)^second where they differ, else 0
    weight = jax.nn.sigmoid(jnp.abs(jax.lax.stop_gradient(wide)))
    known = without_infinities(wide)  # masks of the others do not differ
    return (difference * sign * weight * known).sum(-1) / 2
