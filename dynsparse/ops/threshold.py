"""The threshold family: soft masks with an exact budget.

A mask of the family is `F((scores - threshold * costs) / temperature)`, where the
threshold is the number that makes `sum(costs * mask)` the budget k. One root-find and
one implicit derivative serve every member; `families.py` holds the members.
"""

import functools

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from dynsparse.ops.counts import require, require_positive
from dynsparse.ops.families import Family, find_family
from dynsparse.ops.precision import widened
from dynsparse.ops.solvers import SOLVERS, Problem, bisect


def soft_topk_mask(
    scores: Float[Array, "*batch n"],
    k: int | float | Num[Array, "*#batch"],
    temperature: float | Float[Array, "*#batch"] = 1.0,
    *,
    family: str | Family = "logistic",
    costs: Float[Array, "*#batch n"] | None = None,
    solver: str | None = None,
) -> Float[Array, "*batch n"]:
    r"""Relaxed top-k mask: entries in [0, 1], each row spends exactly `k`.

    Solves $\sum_i c_i F((s_i - \theta c_i) / T) = k$ for $\theta$ and returns
    $F((s - \theta c) / T)$, with c = 1 without `costs`. It maximises
    $\langle s, m \rangle - T \sum_i \Omega(m_i)$ over $0 \le m \le 1$,
    $\langle c, m \rangle = k$, where $F = (\Omega')^{-1}$. The mask keeps the order of
    the scores (without costs), shares ties equally, and is nested in `k`: raising `k`
    lowers no entry. The families:

    - `logistic` (Amos, Koltun and Kolter, 2019, arXiv:1906.08707), also what entropic
      optimal transport with two anchors gives, at half its epsilon (Xie et al., 2020,
      arXiv:2002.06504);
    - `laplace` (LapSum: Struski et al., 2025, arXiv:2503.06242): heavier tails;
    - `gaussian`: lighter ones;
    - `capped`, the projection onto the capped simplex, and `power_3_2`, `power_4_3`
      (Sander et al., 2023, arXiv:2302.01425): exactly 0 and 1 where scores are further
      apart than the temperature;
    - `capped_exponential`, a softmax with entries capped at 1 (the fixed point of the
      coordinate descent of CoLT5: Ainslie et al., 2023, arXiv:2303.09752);
    - `smoothstep`, the cubic of Hazimeh et al. (2020, arXiv:2002.07772), here with an
      exact budget.

    Derivatives of any order that F has are those of the implicit function theorem, by
    scores, `k`, `temperature` and `costs`. With $d_i = F'(u_i) / T$ and without costs:
    $\partial m / \partial s = \mathrm{diag}(d) - d d^T / \sum_j d_j$ and
    $\partial m / \partial k = d / \sum_j d_j$. The gradient by `k` of a loss is minus
    the shadow price of the budget.

    Pitfall: gradients vanish as the tail of F at half the gap between the k-th and the
    next score over `temperature`, and for families with a band (`capped`, `power`,
    `smoothstep`) are exactly 0 once that gap exceeds the temperature: a temperature far
    below the gap teaches the scores nothing. Rows with `nan` are `nan`.

    Args:
        scores: Unnormalised preferences; higher is more likely to be open. `-inf`
            forbids a unit, `inf` opens it before all finite ones, `nan` makes its whole
            row `nan`. Computed in float32 at least.
        k: Units to open, or their total cost; real, in [0, n] or
            [0, sum(costs)]; one number or one per row. A traced value outside is
            clipped, and so is one above what is not forbidden. The ends give exact
            zeros and ones, with zero gradient for the scores and the one-sided limit
            for `k`.
        temperature: Width of the relaxation, > 0, in units of `scores`; one number or
            one per row. Towards 0 the mask becomes the hard top-k mask (with costs, the
            greedy knapsack by scores over costs), towards infinity every entry becomes
            the same.
        family: A name above, or a `Family`.
        costs: Cost of a fully open unit, > 0, in the unit of `k`. Only where units
            compete for one budget at different prices: scaling costs and `k` together
            changes nothing.
        solver: "bisection" takes any family and costs, O(n) memory; "newton" takes
            `capped` without costs and is faster there; "sort" is the closed form of
            `laplace` and `capped` without costs. None for "newton" where it can be,
            else "bisection".

    Returns:
        The mask, in the shape and dtype of `scores`.

    Raises:
        ValueError: If a concrete `k` is outside its range, a concrete `temperature` or
            cost is not positive, or `family` or `solver` is not one of those accepted.

    Example:
        >>> mask = ops.soft_topk_mask(jnp.array([2.0, 1.0, 0.0, -1.0]), 2)
        >>> mask
        Array([0.82, 0.62, 0.38, 0.18], dtype=float32)
        >>> mask.sum()
        Array(2., dtype=float32)
    """
    return _solve(scores, k, temperature, family, costs, solver)[0]


def soft_topk_threshold(
    scores: Float[Array, "*batch n"],
    k: int | float | Num[Array, "*#batch"],
    temperature: float | Float[Array, "*#batch"] = 1.0,
    *,
    family: str | Family = "logistic",
    costs: Float[Array, "*#batch n"] | None = None,
    solver: str | None = None,
) -> Float[Array, "*batch"]:
    r"""The threshold $\theta$ of `soft_topk_mask`, one per row, in units of `scores`.

    The score that would be open by F(0): about halfway between the k-th and the next
    score for symmetric families at low temperatures. Derivatives as of the mask.

    Args:
        scores: As in `soft_topk_mask`, and so are the others.
        k: Budget.
        temperature: Width of the relaxation.
        family: Member of the threshold family.
        costs: Costs of the units.
        solver: "bisection", "newton", "sort" or None.

    Returns:
        In the dtype of the computation, float32 at least. At the ends of `k` any number
        that closes or opens all; 0 where no score is finite.

    Raises:
        ValueError: As `soft_topk_mask`.

    Example:
        >>> ops.soft_topk_threshold(jnp.array([2.0, 1.0, 0.0, -1.0]), 2)
        Array(0.5, dtype=float32)
    """
    return _solve(scores, k, temperature, family, costs, solver)[1]


def _solve(scores, k, temperature, family, costs, solver):
    """The mask and the threshold."""
    rule = _rule(family, costs, solver)
    x = widened(scores)
    dtype = x.dtype
    require_positive("soft_topk_mask", temperature=temperature)
    if costs is not None:
        require_positive("soft_topk_mask", costs=costs)
    largest = scores.shape[-1] if costs is None else _total(costs)
    most = largest if np.ndim(largest) == 0 else "sum(costs)"
    rounded = np.asarray(largest) * (1 + 1e-6)  # as a sum in float32 may be
    accepted = f"k in [0, {most}]"
    require("soft_topk_mask", accepted, k, lambda k: (k >= 0) & (k <= rounded))
    unit = jnp.ones((), dtype) if costs is None else costs.astype(dtype)
    c = jnp.broadcast_to(unit, x.shape)
    rows = (*scores.shape[:-1], 1)
    k = jnp.broadcast_to(jnp.asarray(k, dtype)[..., None], rows)
    temperature = jnp.broadcast_to(jnp.asarray(temperature, dtype)[..., None], rows)

    finite = jnp.isfinite(x)
    always = x == jnp.inf
    cost_of = lambda units: jnp.where(units, c, 0).sum(-1, keepdims=True)
    left = _clip(k - cost_of(always), cost_of(finite))
    # A row's mask is invariant to a shift of all scores, with costs to one by their
    # multiple; near zero, float32 resolves the scores best.
    top = jnp.where(finite, x / c, -jnp.inf).max(-1, keepdims=True)
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0))
    shifted = jnp.where(finite, x - top * c, 0)
    mask = _mask(rule, shifted, left, temperature, c, finite)
    threshold = top + _threshold(rule, shifted, left, temperature, c, finite)

    share = jnp.minimum(
        1, k / jnp.where(always.any(-1, keepdims=True), cost_of(always), 1)
    )
    mask = jnp.where(finite, mask, jnp.where(always, share, 0))
    spoilt = jnp.isnan(x).any(-1, keepdims=True)
    mask = jnp.where(spoilt, jnp.nan, mask)
    return mask.astype(scores.dtype), jnp.where(spoilt, jnp.nan, threshold)[..., 0]


def _rule(family, costs, solver):
    """Returns the family and the solver, checked; both static."""
    found = find_family(family)
    if solver not in (None, "bisection", *SOLVERS):
        raise ValueError(
            f"solver must be 'bisection', {', '.join(map(repr, SOLVERS))} or None, "
            f"got {solver!r}."
        )
    if solver == "bisection":
        return found, bisect
    special = SOLVERS[solver or "newton"]
    for name, solve in special.items():
        if costs is None and find_family(name) == found:
            return found, solve
    if solver is None:
        return found, bisect
    raise ValueError(
        f"solver {solver!r} takes the families {', '.join(special)}, without costs; "
        f"got {family!r}{'' if costs is None else ' with costs'}."
    )


def _total(costs):
    """The budget of each row that opens everything, infinite if traced."""
    if isinstance(costs, jax.core.Tracer):
        return np.inf
    return np.asarray(costs, np.float64).sum(-1)


def _clip(k, largest):
    """`k` in [0, largest]; unlike `jnp.clip`, with the whole slope at the ends."""
    return jnp.where(k < 0, 0, jnp.where(k > largest, largest, k))


# The mask has a derivative rule of its own because autodiff through the threshold would
# multiply 1 / sum(d), which overflows where all gates saturate, by d, which underflows.
# The threshold has one too, for the second and higher derivatives of the mask.


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _mask(rule, x, k, temperature, costs, allowed):
    threshold = _threshold(rule, x, k, temperature, costs, allowed)
    u = jnp.where(allowed, (x - threshold * costs) / temperature, 0)
    total = jnp.where(allowed, costs, 0).sum(-1, keepdims=True)
    mask = jnp.where(k >= total, 1, jnp.where(k <= 0, 0, rule[0].mask(u)))
    return jnp.where(allowed, mask, 0)


@_mask.defjvp
def _mask_jvp(rule, primals, tangents):
    x, k, temperature, costs, allowed = primals
    dx, dk, dt, dc, _ = tangents
    mask = _mask(rule, *primals)
    threshold = _threshold(rule, *primals)
    u, log_slope, weights = _slopes(rule, threshold, *primals)
    total = jnp.where(allowed, costs, 0).sum(-1, keepdims=True)
    saturated = ~allowed | (k <= 0) | (k >= total)
    slope = jnp.where(saturated, 0, jnp.exp(log_slope)) / temperature
    move = dx - u * dt - threshold * dc
    average = (weights * move / costs).sum(-1, keepdims=True)
    spend = dk - (mask * dc).sum(-1, keepdims=True)
    return mask, slope * (move - costs * average) + weights / costs * spend


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _threshold(rule, x, k, temperature, costs, allowed):
    family, solve = rule
    return solve(family, Problem(x, k, temperature, costs, allowed))


@_threshold.defjvp
def _threshold_jvp(rule, primals, tangents):
    _, _, temperature, costs, allowed = primals
    dx, dk, dt, dc, _ = tangents
    threshold = _threshold(rule, *primals)
    u, log_slope, weights = _slopes(rule, threshold, *primals)
    log_total = jax.nn.logsumexp(
        log_slope + 2 * jnp.log(costs), axis=-1, keepdims=True, where=allowed
    )
    log_largest = jnp.log(jnp.finfo(threshold.dtype).max) / 2
    inverse_total = temperature * jnp.exp(jnp.minimum(-log_total, log_largest))
    average = weights * (dx - u * dt - threshold * dc) / costs
    spend = dk - (_mask(rule, *primals) * dc).sum(-1, keepdims=True)
    return threshold, average.sum(-1, keepdims=True) - inverse_total * spend


def _slopes(rule, threshold, x, _, temperature, costs, allowed):
    """Returns u, log F'(u) and each unit's share of the slope of the spent budget."""
    u = jnp.where(allowed, (x - threshold * costs) / temperature, 0)
    log_slope = rule[0].log_slope(u)
    weights = jax.nn.softmax(log_slope + 2 * jnp.log(costs), axis=-1, where=allowed)
    return u, log_slope, weights
