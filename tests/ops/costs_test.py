"""Budgets in cost units, forbidden units, solvers and families of one's own."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import ops
from tests.ops.rows import EPS, draw_scores
from tests.sampled import sampled

FAMILIES = sorted(ops.FAMILIES)
SCORES = jnp.asarray(draw_scores("normal", 17, 0))
COSTS = jnp.asarray(0.5 + np.random.default_rng(1).uniform(size=17) * 4, jnp.float32)
every_family = pytest.mark.parametrize("family", FAMILIES)
some_families = pytest.mark.parametrize(  # of what no family decides
    "family", sampled(FAMILIES, ("logistic", "power_3_2"))
)


@functools.cache
def compiled(family, solver=None):
    return jax.jit(
        lambda scores, k, temperature, **more: ops.soft_topk_mask(
            scores, k, temperature, family=family, solver=solver, **more
        )
    )


def spend(k, temperature, family, costs=COSTS):
    k, temperature = jnp.float32(k), jnp.float32(temperature)
    return compiled(family)(SCORES, k, temperature, costs=costs)


@every_family
@pytest.mark.parametrize("temperature", [0.05, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_the_budget_is_spent(family, temperature, share):
    budget = float(np.float32(share * COSTS.sum()))
    mask = spend(budget, temperature, family)
    assert ((mask >= 0) & (mask <= 1)).all()
    near = 64 * EPS * (1 + COSTS.sum() * 8 / temperature)
    np.testing.assert_allclose(np.float64(mask) @ COSTS, budget, atol=near)


def test_each_row_may_spend_all_of_its_own():
    rows = jnp.stack([COSTS, 2 * COSTS])
    budgets = rows.sum(-1)
    scores = jnp.stack([SCORES, SCORES])
    mask = ops.soft_topk_mask(scores, budgets, costs=rows)
    np.testing.assert_array_equal(mask, 1)
    with pytest.raises(ValueError, match=r"k in \[0, sum\(costs\)\]"):
        ops.soft_topk_mask(scores, budgets[::-1], costs=rows)


@some_families
def test_equal_costs_change_nothing(family):
    plain = compiled(family)(SCORES, 5.5, 0.7)
    ones = spend(5.5, 0.7, family, costs=jnp.ones(17))
    np.testing.assert_allclose(ones, plain, atol=1e-6)


@every_family
def test_scaling_costs_and_budget_together_changes_nothing(family):
    once = spend(12.0, 0.7, family)
    np.testing.assert_allclose(
        spend(4 * 12.0, 0.7, family, costs=4 * COSTS), once, atol=2e-6
    )


@every_family
def test_more_budget_closes_no_unit(family):
    masks = np.stack([spend(k, 0.7, family) for k in np.linspace(0, COSTS.sum(), 9)])
    assert (np.diff(masks, axis=0) >= -1e-6).all()


@every_family
def test_derivatives_match_finite_differences_by_everything(family):
    with jax.enable_x64(True):
        to64 = lambda x: jnp.asarray(x, jnp.float64)
        point = (to64(SCORES[:6]), to64(6.3), to64(1.1), to64(COSTS[:6]))
        weights = jnp.cos(jnp.arange(6.0))
        loss = lambda s, k, t, c: (
            weights @ ops.soft_topk_mask(s, k, t, family=family, costs=c)
        )
        both = jax.jit(jax.value_and_grad(loss, (0, 1, 2, 3)))
        directions = (jnp.sin(1 + jnp.arange(6.0)), to64(1), to64(1), jnp.cos(point[3]))
        gradients = both(*point)[1]
        for i, (gradient, direction) in enumerate(
            zip(gradients, directions, strict=True)
        ):
            at = lambda step, i=i, d=direction: both(
                *(p + step * d if j == i else p for j, p in enumerate(point))
            )[0]
            difference = (at(1e-6) - at(-1e-6)) / 2e-6
            assert abs(difference) > 1e-4
            np.testing.assert_allclose(
                jnp.vdot(gradient, direction), difference, rtol=1e-5
            )


def test_threshold_and_second_derivatives_match_finite_differences():
    with jax.enable_x64(True):
        to64 = lambda x: jnp.asarray(x, jnp.float64)
        point = [to64(SCORES[:5]), to64(5.3), to64(0.8), to64(COSTS[:5])]
        theta = lambda s, k, t, c: ops.soft_topk_threshold(s, k, t, costs=c)
        mask = lambda s, k, t, c: ops.soft_topk_mask(s, k, t, costs=c) @ jnp.arange(5.0)
        slope = lambda *p: jax.grad(mask, 1)(*p) + jax.grad(mask)(*p)[0]
        by_all = [
            jax.jit(jax.value_and_grad(function, (0, 1, 2, 3)))
            for function in (theta, slope)
        ]
        for both, by in itertools.product(by_all, range(4)):
            shift = lambda step, both=both, by=by: both(
                *(p + step if i == by else p for i, p in enumerate(point))
            )[0]
            exact = both(*point)[1][by].sum()
            difference = (shift(1e-5) - shift(-1e-5)) / 2e-5
            np.testing.assert_allclose(exact, difference, rtol=1e-6, atol=1e-9)


def test_cold_masks_with_costs_are_the_greedy_knapsack():
    order = np.argsort(-SCORES / COSTS)
    budget = COSTS[order[:6]].sum() + 0.5 * COSTS[order[6]]
    mask = np.asarray(spend(budget, 1e-4, "logistic"))[order]
    np.testing.assert_allclose(mask[:6], 1, atol=1e-3)
    np.testing.assert_allclose(mask[6], 0.5, atol=1e-2)
    np.testing.assert_allclose(mask[7:], 0, atol=1e-3)


@some_families
def test_the_gradient_by_the_budget_is_minus_its_shadow_price(family):
    value = lambda k: spend(k, 0.7, family) @ np.linspace(0, 1, 17, dtype=np.float32)
    both = jax.jit(jax.value_and_grad(value))
    (more, _), (less, _), (_, slope) = both(12.1), both(11.9), both(12.0)
    np.testing.assert_allclose(slope, (more - less) / 0.2, rtol=2e-2)


@some_families
def test_forbidden_units_stay_closed_without_a_gradient(family):
    where = np.arange(17) % 3 > 0

    def loss(s):
        mask = compiled(family)(jnp.where(where, s, -jnp.inf), 4.0, 0.7)
        return mask @ np.arange(17, dtype=np.float32), mask

    gradient, mask = jax.jit(jax.grad(loss, has_aux=True))(SCORES)
    np.testing.assert_array_equal(mask[~where], 0)
    alone = compiled(family)(SCORES[where], 4.0, 0.7)
    np.testing.assert_allclose(mask[where], alone, atol=1e-6)
    assert not gradient[~where].any()
    assert gradient[where].any()


def test_a_budget_above_what_is_allowed_opens_what_is():
    where = jnp.arange(6) < 2
    scores = jnp.where(where, jnp.arange(6.0), -jnp.inf)
    mask = ops.soft_topk_mask(scores, 4, 1.0)
    np.testing.assert_array_equal(mask, where)


def test_a_family_of_ones_own_takes_any_power():
    mask = ops.soft_topk_mask(SCORES, 5.0, 1.0, family=ops.power(1.7))
    np.testing.assert_allclose(mask.sum(), 5, atol=1e-5)
    between = [
        ops.soft_topk_mask(SCORES, 5.0, 1.0, family=ops.power(p)) for p in (1.5, 2.0)
    ]
    assert np.abs(mask - between[0]).max() > 0.01
    assert np.abs(mask - between[1]).max() > 0.01


SPECIAL = [("laplace", "sort"), ("capped", "sort"), ("capped", "newton")]


@pytest.mark.parametrize("n", sampled([1, 2, 17, 1000], [1, 1000]))
@pytest.mark.parametrize(("family", "solver"), SPECIAL)
def test_solvers_are_each_others_oracle(family, solver, n):
    """Masks and, where the sum is flat, thresholds: in the middle of the gap."""
    scores = jnp.asarray(draw_scores("normal", n, 5))
    k = jnp.asarray(sorted({0.0, 0.5, n / 4, float(n // 2), n - 0.25, float(n)}))
    rows, inside = jnp.broadcast_to(scores, (len(k), n)), (k > 0) & (k < n)

    @jax.jit
    def solve(temperature):
        mask, threshold = (
            [
                operator(rows, k, temperature, family=family, solver=solver)
                for solver in ("bisection", solver)
            ]
            for operator in (ops.soft_topk_mask, ops.soft_topk_threshold)
        )
        return mask, [x[inside] for x in threshold]

    for temperature in (1e-3, 0.03, 1.0, 10.0):
        mask, threshold = solve(jnp.float32(temperature))
        near = 16 * EPS * (np.abs(scores - scores.max()).max() + 20 * temperature)
        np.testing.assert_allclose(*mask, atol=near / temperature)
        np.testing.assert_allclose(*threshold, atol=near)


@pytest.mark.parametrize(("family", "solver"), SPECIAL)
def test_solvers_have_the_same_gradient(family, solver):
    total = lambda s, k, solver: (
        compiled(family, solver)(s, k, 0.7) @ np.arange(17, dtype=np.float32)
    )
    slopes = jax.jit(jax.grad(total, (0, 1)), static_argnums=2)
    gradients = [slopes(SCORES, 4.5, solver) for solver in ("bisection", solver)]
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


MISTAKES = [
    (dict(family="tanh"), "unknown family 'tanh'; accepted: logistic, laplace"),
    (dict(solver="secant"), "'bisection', 'newton', 'sort' or None, got 'secant'"),
    (dict(solver="newton"), "'newton' takes the families capped, .*got 'logistic'"),
    (dict(solver="sort"), "takes the families laplace, capped.*got 'logistic'"),
    (dict(solver="sort", family="capped", costs=jnp.ones(6)), "with costs"),
    (dict(costs=jnp.zeros(6)), "needs costs > 0"),
    (dict(costs=jnp.full(6, 0.4)), r"needs k in \[0, 2.4"),
]


@pytest.mark.parametrize(("keywords", "message"), MISTAKES)
def test_mistakes_are_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        ops.soft_topk_mask(jnp.arange(6.0), 3.0, 1.0, **keywords)
