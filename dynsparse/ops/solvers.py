"""Solvers for the threshold: the number at which the masks of a row spend the budget.

Every solver takes scores that are finite where `allowed`, and returns one threshold per
row, [*batch, 1], without a derivative; `threshold.py` attaches that.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dynsparse.ops.families import Family

_FEW_STEPS = 8  # of Newton's method, after which it may be going round
_MOST_STEPS = 128  # of a score's bits, twice


class Problem(NamedTuple):
    """Sum over the allowed units of `costs * F((scores - threshold * costs) / T) = k`.

    Attributes:
        scores: [*batch, n].
        k: [*batch, 1], between 0 and the sum of the allowed costs.
        temperature: [*batch, 1], > 0.
        costs: [*batch, n], > 0.
        allowed: [*batch, n], bool.
    """

    scores: Any
    k: Any
    temperature: Any
    costs: Any
    allowed: Any


def bisect(family: Family, problem: Problem):
    """Bisection on the balance of the two tails; any family, any costs, O(n) memory.

    The excess of the mask over the budget is (costs of the units above - k) - (what
    those lack of 1) + (what the units below have). Where the first term is 0 the mask
    is flat in floating point and the two tails alone decide; they are scaled by the
    largest of them, so that they still compare where they underflow.
    """
    x, k, temperature, costs, allowed = problem
    info = jnp.finfo(x.dtype)

    def position(threshold):
        return (x - threshold * costs) / temperature

    def too_many(threshold):
        u = position(threshold)
        above = allowed & (u > family.centre)
        decay = jnp.where(allowed, family.decay(u), jnp.inf)
        nearest = decay.min(-1, keepdims=True)
        nearest = jnp.where(jnp.isfinite(nearest), nearest, 0)
        scaled = jnp.exp(nearest - decay)
        tail = costs * scaled * family.shape(scaled * jnp.exp(-nearest))
        balance = jnp.where(above, -tail, tail).sum(-1, keepdims=True)
        surplus = jnp.where(above, costs, 0).sum(-1, keepdims=True) - k
        excess = surplus + jnp.exp(-nearest) * balance
        return jnp.where(surplus == 0, balance, excess) > 0

    def halve(_, bracket):
        low, high = bracket
        middle = low + (high - low) / 2
        over = too_many(middle)
        return jnp.where(over, middle, low), jnp.where(over, high, middle)

    margin = temperature * family.reach(x.dtype)
    lowest = jnp.where(allowed, (x - margin) / costs, jnp.inf).min(-1, keepdims=True)
    highest = jnp.where(allowed, (x + margin) / costs, -jnp.inf).max(-1, keepdims=True)
    bracket = tuple(jnp.where(jnp.isfinite(end), end, 0) for end in (lowest, highest))
    low, high = jax.lax.fori_loop(0, info.nmant + 11, halve, bracket)
    return low + (high - low) / 2


def solve_in_segments(_: Family, problem: Problem):
    """Newton's method in a bracket, for the capped simplex without costs.

    The sum of the mask is piecewise linear in the threshold, so that a step from the
    right segment is exact, and few lead there. Where the sum has no slope, or a step
    leaves the bracket, that is halved; in time it is halved every other step, so that
    no row takes longer than twice what bisection does.
    """
    _, k, temperature, _, allowed = problem
    x, eps = jnp.where(allowed, problem.scores, -jnp.inf), jnp.finfo(k.dtype).eps
    count = functools.partial(jnp.sum, axis=-1, keepdims=True, dtype=x.dtype)

    def unsettled(state):
        step, *_, settled = state
        return (step < _MOST_STEPS) & ~settled.all()

    def move(state):
        step, low, high, threshold, settled = state
        u = (x - threshold) / temperature
        excess = jnp.clip(u, 0, 1).sum(-1, keepdims=True) - k
        slope = count((u > 0) & (u < 1))
        low = jnp.where(excess > 0, threshold, low)
        high = jnp.where(excess < 0, threshold, high)
        newton = threshold + temperature * excess / jnp.maximum(slope, 1)
        last_place = eps * jnp.abs(threshold)
        halve = (slope == 0) | (newton <= low) | (newton >= high)
        halve |= (step > _FEW_STEPS) & (step % 2 == 0)
        moved = jnp.where(halve, low + (high - low) / 2, newton)
        # What the last places of the sum and of the threshold do to the excess.
        rounding = eps * k + last_place * slope / temperature
        settled |= jnp.abs(excess) <= rounding
        moved = jnp.where(settled, threshold, moved)
        settled |= jnp.abs(moved - threshold) <= last_place
        return step + 1, low, high, moved, settled

    finite = jnp.where(allowed, x, 0)
    low = finite.min(-1, keepdims=True) - temperature
    high = finite.max(-1, keepdims=True)
    start = jnp.zeros((), jnp.int32), low, high, low + (high - low) / 2
    # False for all; made of the scores, so that it is sharded as they are.
    threshold = jax.lax.while_loop(unsettled, move, (*start, low > high))[3]
    # Where k units are full before the next one opens, every threshold between is
    # right: take the middle, as bisection does.
    full = x - threshold > temperature / 2
    last = jnp.where(full, x, jnp.inf).min(-1, keepdims=True) - temperature
    first = jnp.where(full, -jnp.inf, x).max(-1, keepdims=True)
    flat = (count(full) == k) & (first <= last)
    flat &= jnp.isfinite(first) & jnp.isfinite(last)
    return jnp.where(flat, first + (last - first) / 2, threshold)


def solve_laplace(family: Family, problem: Problem):
    r"""Closed form of the Laplace family by one sort (LapSum).

    With s the sorted scores over the temperature, j of them above the threshold,
    $A = \sum_{i \le j} e^{-s_i}$, $B = \sum_{i > j} e^{s_i}$ and $c = j - k$, the
    threshold v = log of the positive root of $A v^2 - 2 c v - B = 0$ (Struski,
    Bednarczyk, Podolak and Tabor, 2025, arXiv:2503.06242), here in log space and
    without a subtraction of like numbers.
    """
    s = _descending(problem)
    n = s.shape[-1]
    counts = jnp.arange(n + 1, dtype=s.dtype)
    # By number of units above: the logarithms of A and of B.
    none = jnp.full((*s.shape[:-1], 1), -jnp.inf, s.dtype)
    log_a = jnp.concatenate([none, jax.lax.cumlogsumexp(-s, s.ndim - 1)], -1)
    log_b = jax.lax.cumlogsumexp(s, s.ndim - 1, reverse=True)
    log_b = jnp.concatenate([log_b, none], -1)
    # The sum of the mask with the threshold at each score, that score counted above.
    above = jnp.broadcast_to(counts[1:], s.shape) - jnp.exp(s + log_a[..., 1:]) / 2
    at_scores = above + jnp.exp(log_b[..., 1:] - s) / 2
    j = ((at_scores <= problem.k) & (s > -jnp.inf)).sum(-1, keepdims=True)
    log_a, log_b = (jnp.take_along_axis(end, j, -1) for end in (log_a, log_b))
    c = j.astype(s.dtype) - problem.k
    size = jnp.log(jnp.abs(c))
    root = jnp.logaddexp(size, jnp.logaddexp(2 * size, log_a + log_b) / 2)
    threshold = jnp.where(c >= 0, root - log_a, log_b - root)
    reach = family.reach(s.dtype)
    finite = jnp.where(s > -jnp.inf, s, 0)
    low, high = finite.min(-1, keepdims=True), finite.max(-1, keepdims=True)
    threshold = jnp.where(problem.k <= 0, high + reach, threshold)
    return problem.temperature * jnp.clip(threshold, low - reach, high + reach)


def solve_capped(_: Family, problem: Problem):
    """Closed form of the capped simplex by one sort of the 2 n breakpoints.

    The sum of the mask is piecewise linear in the threshold. Walking down the
    breakpoints, where a unit opens or is full, its increments are positive, so that the
    prefix sums cancel nothing; the budget lies in one segment, where it is solved.
    """
    s = _descending(problem)
    opens = jnp.broadcast_to(jnp.ones((), s.dtype), s.shape)
    points = jnp.concatenate([s, s - 1], -1)
    changes = jnp.concatenate([opens, -opens], -1)
    order = jnp.argsort(-points, -1, stable=True)
    points = jnp.take_along_axis(points, order, -1)
    active = jnp.cumsum(jnp.take_along_axis(changes, order, -1), -1)
    drops = jnp.where(
        jnp.isfinite(points[..., 1:]), points[..., :-1] - points[..., 1:], 0
    )
    gained = active[..., :-1] * drops
    start = jnp.zeros((*s.shape[:-1], 1), s.dtype)
    sums = jnp.concatenate([start, jnp.cumsum(gained, -1)], -1)
    at = lambda values, index: jnp.take_along_axis(values, index, -1)
    # The budget lies below the last breakpoint whose sum is smaller.
    inside = jnp.isfinite(points)
    before = jnp.maximum((inside & (sums < problem.k)).sum(-1, keepdims=True) - 1, 0)
    slope = jnp.maximum(at(active, before), 1)
    linear = at(points, before) - (problem.k - at(sums, before)) / slope
    # Where k units are full before the next one opens, every threshold between is
    # right: take the middle, as bisection does.
    last = jnp.clip(2 * problem.k.astype(jnp.int32) - 1, 0, points.shape[-1] - 2)
    flat = (problem.k == jnp.round(problem.k)) & (at(active, last) == 0)
    flat &= jnp.isfinite(at(points, last + 1))
    middle = (at(points, last) + at(points, last + 1)) / 2
    return problem.temperature * jnp.where(flat, middle, linear)


def _descending(problem: Problem):
    """The allowed scores over the temperature, largest first, then -inf."""
    scaled = jnp.where(problem.allowed, problem.scores / problem.temperature, -jnp.inf)
    return -jnp.sort(-scaled, -1)


# Solvers that take certain families alone, without costs.
SOLVERS: dict[str, dict[str, Callable[[Family, Problem], Any]]] = dict(
    newton=dict(capped=solve_in_segments),
    sort=dict(laplace=solve_laplace, capped=solve_capped),
)
