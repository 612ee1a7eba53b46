"""Members of the threshold family: a unit's mask as a function of score minus theta.

A member is a monotone F from the numbers onto [0, 1], and the mask is F(u) with
u = (score - theta) / temperature. `FAMILIES` holds the published ones by name.

The solver never sums F, which is flat in floating point where every unit is closed or
open. It compares tails: what the units below the centre have (F) with what those above
lack (1 - F). A family that is exactly 0 and 1 beyond a band is continued there by a
tail too small to be a number, which still says which unit is the nearest: so theta lies
in the middle of the gap, and the derivative by k has a direction, there as well.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_INFINITESIMAL = 1e4  # exp of minus this is 0 in float32 and in float64

Values = Float[Array, "*shape"]


@dataclasses.dataclass(frozen=True)
class Family:
    """A member of the threshold family.

    Attributes:
        mask: F(u), in [0, 1].
        log_slope: log F'(u), also where F'(u) underflows.
        decay: Minus the logarithm of the tail at u, up to `shape`: the larger, the
            further u is from the centre.
        shape: From exp(-decay) to the factor in [1/2, 1] that completes the tail.
        centre: Where "below" ends and "above" begins.
        reach: By dtype, the u beyond which F is exactly 0 on one side, 1 on the other.

    Example:
        >>> logistic = ops.FAMILIES["logistic"]
        >>> logistic.mask(jnp.array([-1.0, 0.0, 1.0]))
        Array([0.27, 0.5 , 0.73], dtype=float32)
    """

    mask: Callable[[Values], Values]
    log_slope: Callable[[Values], Values]
    decay: Callable[[Values], Values]
    shape: Callable[[Values], Values | float]
    centre: float
    reach: Callable[[Any], float]


def _one(_):
    return 1.0


def _exponential_reach(dtype) -> float:
    return -1.3 * math.log(float(jnp.finfo(dtype).tiny))


def _beyond(distance):
    """The log of an infinitesimal tail, `distance` outside the band."""
    return -_INFINITESIMAL * (1 + distance)


def _banded(inside, u):
    """`inside` within the band (0, 1), an infinitesimal tail outside."""
    within = (u > 0) & (u < 1)
    outside = _beyond(jnp.maximum(-u, u - 1))
    return jnp.where(within, inside(jnp.where(within, u, 0.5)), outside)


# F is the logistic function.


def _logistic_log_slope(u):  # m (1 - m) instead loses one tail to rounding
    return -jax.nn.softplus(u) - jax.nn.softplus(-u)


LOGISTIC = Family(
    mask=jax.nn.sigmoid,
    log_slope=_logistic_log_slope,
    decay=jnp.abs,
    shape=lambda tail: 1 / (1 + tail),
    centre=0.0,
    reach=_exponential_reach,
)


# F is the distribution function of the Laplace distribution.


def _laplace_mask(u):
    tail = jnp.exp(-jnp.abs(u)) / 2
    return jnp.where(u < 0, tail, 1 - tail)


LAPLACE = Family(
    mask=_laplace_mask,
    log_slope=lambda u: -jnp.abs(u) - math.log(2),
    decay=jnp.abs,
    shape=lambda _: 0.5,
    centre=0.0,
    reach=_exponential_reach,
)


# F is the distribution function of the normal distribution.


def _bounded(u):  # whose square is still a float32
    return jnp.clip(u, -1e18, 1e18)


GAUSSIAN = Family(
    mask=jax.scipy.special.ndtr,
    log_slope=lambda u: -jnp.square(_bounded(u)) / 2 - math.log(2 * math.pi) / 2,
    decay=lambda u: -jax.scipy.special.log_ndtr(-jnp.abs(_bounded(u))),
    shape=_one,
    centre=0.0,
    reach=lambda dtype: (-2.2 * math.log(float(jnp.finfo(dtype).tiny))) ** 0.5,
)


# F(u) = min(1, exp(u)).


def _capped_exponential_decay(u):
    return jnp.where(u > 0, -_beyond(u), -u)


CAPPED_EXPONENTIAL = Family(
    mask=lambda u: jnp.exp(jnp.minimum(u, 0)),
    log_slope=lambda u: jnp.where(u > 0, _beyond(u), u),
    decay=_capped_exponential_decay,
    shape=_one,
    centre=0.0,
    reach=_exponential_reach,
)


@functools.cache
def power(p: float) -> Family:
    r"""The family $F(u) = \mathrm{clip}(u, 0, 1)^{1 / (p - 1)}$.

    The p-norm masks of Sander, Puigcerver, Djolonga, Peyre and Blondel (2023,
    arXiv:2302.01425); p = 2 is the projection onto the capped simplex.

    Args:
        p: In (1, 2]. The smaller, the smoother where units open: the slope of F at 0 is
            continuous below 2.

    Raises:
        ValueError: If `p` is outside (1, 2].

    Example:
        >>> ops.power(1.5).mask(jnp.array([-1.0, 0.5, 2.0]))
        Array([0.  , 0.25, 1.  ], dtype=float32)
    """
    if not 1 < p <= 2:
        raise ValueError(f"power needs p in (1, 2], got {p}.")
    exponent = 1 / (p - 1)

    def decay(u):
        below = lambda u: exponent * jnp.log(u)
        above = lambda u: jnp.log1p(-(u**exponent))
        return -_banded(lambda u: jnp.where(u > 0.5, above(u), below(u)), u)

    return Family(
        mask=lambda u: jnp.clip(u, 0, 1) ** exponent,
        log_slope=functools.partial(
            _banded, lambda u: math.log(exponent) + (exponent - 1) * jnp.log(u)
        ),
        decay=decay,
        shape=_one,
        centre=0.5,
        reach=lambda _: 1.0,
    )


# F(u) = u^2 (3 - 2 u) within the band.


def _smoothstep_mask(u):
    u = jnp.clip(u, 0, 1)
    return jnp.square(u) * (3 - 2 * u)


def _smoothstep_decay(u):
    def log_tail(u):
        nearest = jnp.minimum(u, 1 - u)  # both tails are the same polynomial
        return 2 * jnp.log(nearest) + jnp.log(3 - 2 * nearest)

    return -_banded(log_tail, u)


SMOOTHSTEP = Family(
    mask=_smoothstep_mask,
    log_slope=functools.partial(
        _banded, lambda u: math.log(6) + jnp.log(u) + jnp.log1p(-u)
    ),
    decay=_smoothstep_decay,
    shape=_one,
    centre=0.5,
    reach=lambda _: 1.0,
)

FAMILIES: dict[str, Family] = dict(
    logistic=LOGISTIC,
    laplace=LAPLACE,
    gaussian=GAUSSIAN,
    capped=power(2.0),
    power_3_2=power(3 / 2),
    power_4_3=power(4 / 3),
    capped_exponential=CAPPED_EXPONENTIAL,
    smoothstep=SMOOTHSTEP,
)


def find_family(family: str | Family) -> Family:
    """Family of that name, or the family itself.

    Raises:
        ValueError: If there is no such name.

    Example:
        >>> ops.find_family("capped") is ops.power(2.0)
        True
    """
    if isinstance(family, Family):
        return family
    if family not in FAMILIES:
        raise ValueError(
            f"unknown family {family!r}; accepted: {', '.join(FAMILIES)}, or a Family."
        )
    return FAMILIES[family]
