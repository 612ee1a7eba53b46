"""The rows of the operator tests: every mask of k of n, and what holds for it."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from dynsparse import ops

EPS = float(np.finfo(np.float32).eps)
SIZES = (1, 2, 17, 128)  # each is one compilation
TEMPERATURES = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.5, 1.0, 3.0, 10.0)
KINDS = ("normal", "equal", "two_valued", "sorted", "reversed", "narrow", "wide")


def draw_scores(kind, n, seed):
    x = np.random.default_rng(seed).normal(size=n)
    changed = dict(
        normal=x,
        equal=np.full(n, 0.7),
        two_valued=np.where(x > 0, 1.0, -1.0),
        sorted=np.sort(x),
        reversed=np.sort(x)[::-1],
        narrow=1 + 1e-6 * x,
        wide=30 * x,
    )[kind]
    return changed.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Row:
    """What holds for a mask.

    Attributes:
        mask: From scores, k and temperature.
        steepest: Largest slope of a unit's mask at temperature 1.
        exact: Sums to k.
        bounded: Lies in [0, 1].
        symmetric: The mask of -scores and n - k is the complement.
        scaled: Scaling scores and temperature together changes nothing.
        real: Takes a k that is not an integer, and has a derivative by it.
        laplacian: Its Jacobian is that of a projection: symmetric, positive.
        smooth: Has a second derivative everywhere.
        band: Is exactly hard where the gap exceeds the temperature; false where it
            approaches that, None where it does not.
        coldest: Lowest temperature at which float32 carries it.
    """

    mask: Callable
    steepest: float = 1.0
    exact: bool = True
    bounded: bool = True
    symmetric: bool = True
    scaled: bool = True
    real: bool = True
    laplacian: bool = True
    smooth: bool = False
    band: bool | None = False
    coldest: float = 0.0


def family(name, solver=None):
    return functools.partial(ops.soft_topk_mask, family=name, solver=solver)


def int_k(k):
    return jnp.asarray(k).astype(jnp.int32)


ROWS = dict(
    logistic=Row(family("logistic"), 0.25, smooth=True),
    laplace=Row(family("laplace"), 0.5),
    laplace_sorted=Row(family("laplace", "sort"), 0.5),
    gaussian=Row(family("gaussian"), 0.4, smooth=True),
    capped=Row(family("capped"), 1.0, band=True),
    capped_sorted=Row(family("capped", "sort"), 1.0, band=True),
    power_3_2=Row(family("power_3_2"), 2.0, symmetric=False, band=True),
    power_4_3=Row(family("power_4_3"), 3.0, symmetric=False, band=True),
    capped_exponential=Row(family("capped_exponential"), 1.0, symmetric=False),
    smoothstep=Row(family("smoothstep"), 1.5, band=True),
    capped_entmax=Row(
        lambda s, k, t: ops.capped_entmax(s, k, t, alpha=1.25),
        3.0,
        symmetric=False,
        band=None,  # its band is wider than the temperature, by 1 / (alpha - 1)
    ),
    k_subset=Row(
        lambda s, k, t: ops.k_subset_marginals((s / t).astype(s.dtype), int_k(k)),
        0.25,
        real=False,
        smooth=True,
        coldest=0.03,
    ),
    dftopk=Row(
        lambda s, k, t: ops.dftopk_mask(s, int_k(k), t),
        0.25,
        exact=False,
        real=False,
        laplacian=False,
    ),
    neural_sort=Row(
        ops.neural_sort_mask,
        128.0,
        bounded=False,
        symmetric=False,
        laplacian=False,
        band=None,
        coldest=0.5,
    ),
    soft_sort=Row(
        ops.soft_sort_mask,
        4.0,
        bounded=False,
        symmetric=False,
        laplacian=False,
        band=None,
        coldest=0.03,
    ),
    relaxed_subset=Row(
        lambda s, k, t: ops.relaxed_subset_mask(None, s, int_k(k), t),
        4.0,
        bounded=False,
        symmetric=False,
        scaled=False,
        real=False,
        laplacian=False,
        band=None,
        coldest=0.1,
    ),
)


@functools.cache
def compiled(name):
    """The mask of a row, compiled."""
    return jax.jit(ROWS[name].mask)


@functools.cache
def compiled_gradients(name):
    """Derivatives of `cotangent @ mask` by scores, k and temperature."""
    row = ROWS[name]
    by = (0, 1, 2) if row.real else (0, 2)

    def gradients(scores, k, temperature, cotangent):
        loss = lambda *arguments: cotangent @ row.mask(*arguments)
        return jax.grad(loss, by)(scores, k, temperature)

    return jax.jit(gradients)


def mask(name, scores, k, temperature):
    scores = jnp.asarray(scores, jnp.float32)
    return np.asarray(compiled(name)(scores, np.float32(k), np.float32(temperature)))


def rounding(name, scores, temperature):
    """What rounding of scores and threshold, one last place each, does to an entry."""
    spread = float(np.abs(scores - scores.max()).max()) / temperature + 20
    return 4 * EPS * (ROWS[name].steepest * spread + 1)


def sum_tolerance(name, scores, k, temperature, m):
    """Floor of float32: the threshold's last place times the slope of the sum."""
    moving = int(((m > 0) & (m < 1)).sum())
    return rounding(name, scores, temperature) * (moving + 1) + 4 * EPS * (
        len(m) ** 0.5 * k + 1
    )
