"""Masks of units that decide alone, without noise."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.ops.counts import require_positive
from dynsparse.ops.hard import straight_through
from dynsparse.ops.precision import widened


def hard_step(scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Ones where a score is above 0, zeros elsewhere. No gradient.

    Args:
        scores: Any may be infinite; `nan` gives 0.

    Example:
        >>> ops.hard_step(jnp.array([-1.0, 0.0, 2.0]))
        Array([0., 0., 1.], dtype=float32)
    """
    return (scores > 0).astype(scores.dtype)


def sigmoid_straight_through(
    scores: Float[Array, "*shape"], temperature: float | Float[Array, ""] = 1.0
) -> Float[Array, "*shape"]:
    r"""$1[s > 0]$ with the gradient of $\sigma(s / T)$.

    Deterministic: no variance, and a bias (Bengio, Leonard and Courville, 2013,
    arXiv:1308.3432). Units far from 0 at a low temperature get no gradient and never
    change sides.

    Args:
        scores: Open where positive.
        temperature: T > 0, in units of `scores`.

    Returns:
        Zeros and ones, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `temperature` is not positive.

    Example:
        >>> ops.sigmoid_straight_through(jnp.array([-1.0, 1.0]))
        Array([0., 1.], dtype=float32)
        >>> jax.grad(ops.sigmoid_straight_through)(jnp.float32(0))
        Array(0.25, dtype=float32)
    """
    require_positive("sigmoid_straight_through", temperature=temperature)
    wide = widened(scores)
    soft = jax.nn.sigmoid(wide / temperature)
    return straight_through(hard_step(wide), soft).astype(scores.dtype)


def smooth_step(
    scores: Float[Array, "*shape"], width: float | Float[Array, ""] = 1.0
) -> Float[Array, "*shape"]:
    r"""Cubic step: 0 below -width / 2, 1 above width / 2, smooth between.

    $-2 s^3 / w^3 + 3 s / (2 w) + 1 / 2$ within the band (Hazimeh et al., 2020,
    arXiv:2002.07772). Exact zeros and ones and a continuous slope.

    Pitfall: the gradient is exactly 0 outside the band, so a unit that leaves it stays
    where it is: initialise the scores well inside.

    Args:
        scores: Open where above -width / 2.
        width: w > 0, in units of `scores`.

    Returns:
        The mask, in [0, 1], in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `width` is not positive.

    Example:
        >>> ops.smooth_step(jnp.array([-1.0, 0.0, 0.25, 1.0]))
        Array([0.  , 0.5 , 0.84, 1.  ], dtype=float32)
    """
    require_positive("smooth_step", width=width)
    wide = widened(scores)
    u = jnp.clip(wide / width + 0.5, 0, 1)
    return (jnp.square(u) * (3 - 2 * u)).astype(scores.dtype)


def relu_mask(scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""$\min(1, \max(0, s))$: closed exactly where the score is not positive.

    The routing of ReMoE (Wang, Zhu and Chen, 2024, arXiv:2412.14711): continuous, no
    top-k, and a number of open units that only a penalty on its sum controls.

    Differs from the paper: capped at 1, with no gradient above, since a mask lies in
    [0, 1] and the penalty, not the loss, has to bring scores back.

    Pitfall: an example whose scores are all negative opens nothing and learns nothing.

    Args:
        scores: Open where positive.

    Example:
        >>> ops.relu_mask(jnp.array([-1.0, 0.25, 2.0]))
        Array([0.  , 0.25, 1.  ], dtype=float32)
    """
    return jnp.clip(scores, 0, 1)
