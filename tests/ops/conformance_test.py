"""Properties of every mask of k of n. A new operator adds one row to rows.py."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ops.rows import (
    EPS,
    KINDS,
    ROWS,
    SIZES,
    TEMPERATURES,
    compiled,
    compiled_gradients,
    draw_scores,
    mask,
    rounding,
    sum_tolerance,
)


@st.composite
def cases(draw, sizes=SIZES):
    """Scores, k and temperature; k is rounded where the operator wants that."""
    n = draw(st.sampled_from(sizes))
    k = draw(
        st.one_of(
            st.sampled_from([0.0, 1e-3, 0.5, n / 2, n - 0.5, n - 1e-3, float(n)]),
            st.integers(0, n).map(float),
        )
    )
    temperature = draw(st.sampled_from(TEMPERATURES))
    scores = draw_scores(draw(st.sampled_from(KINDS)), n, draw(st.integers(0, 1000)))
    return scores, float(np.float32(min(max(k, 0), n))), float(np.float32(temperature))


def fit(name, case):
    scores, k, temperature = case
    row = ROWS[name]
    return scores, k if row.real else float(round(k)), max(temperature, row.coldest)


def rows(*wanted, **flags):
    """The rows for which all of `flags` hold."""
    names = [
        name
        for name, row in ROWS.items()
        if all(getattr(row, flag) == value for flag, value in flags.items())
    ]
    assert names
    return pytest.mark.parametrize("name", names)


thorough = settings(deadline=None, max_examples=40, derandomize=True)


@rows(exact=True)
@thorough
@given(case=cases())
def test_mask_sums_to_k(name, case):
    scores, k, temperature = case = fit(name, case)
    m = mask(name, *case)
    error = abs(np.float64(m).sum() - k)
    assert error <= sum_tolerance(name, scores, k, temperature, m)


def test_what_does_not_promise_the_sum_misses_it():
    m = mask("dftopk", draw_scores("normal", 17, 0), 4.0, 1.0)
    assert abs(m.sum() - 4) > 0.1


@rows(bounded=True)
@thorough
@given(case=cases())
def test_entries_are_probabilities_in_the_order_of_the_scores(name, case):
    case = fit(name, case)
    m = mask(name, *case)
    assert ((m >= 0) & (m <= 1)).all()
    ordered = m[np.argsort(case[0], kind="stable")]
    slack = rounding(name, case[0], case[2]) if name == "k_subset" else 0
    assert (np.diff(ordered) >= -slack).all()


@rows(bounded=False)
def test_masks_that_may_leave_the_unit_interval_do(name):
    largest = [
        mask(name, draw_scores("normal", 17, seed), 5.0, max(ROWS[name].coldest, 0.1))
        for seed in range(20)
    ]
    assert np.max(largest) > 1.01
    assert np.min(largest) >= 0


@rows()
@thorough
@given(case=cases())
def test_mask_is_equivariant_to_permutations(name, case):
    scores, k, temperature = case = fit(name, case)
    order = np.random.default_rng(0).permutation(len(scores))
    m, expected = mask(name, scores[order], k, temperature), mask(name, *case)[order]
    # Sums of another order move the threshold by its last places.
    np.testing.assert_allclose(
        m, expected, atol=4 * rounding(name, scores, temperature)
    )


@rows()
@thorough
@given(case=cases(), shift=st.sampled_from([-64.0, 1024.0]))
def test_mask_does_not_change_with_a_shift(name, case, shift):
    scores, k, temperature = fit(name, case)
    scores = (scores + np.float32(shift)) - np.float32(shift)  # representable after it
    moved = mask(name, scores + np.float32(shift), k, temperature)
    still = mask(name, scores, k, temperature)
    near = rounding(name, scores, temperature)
    if not (ROWS[name].laplacian or name == "soft_sort") or name == "k_subset":
        near += 8 * EPS * ROWS[name].steepest * (abs(shift) / temperature)
    np.testing.assert_allclose(moved, still, atol=near)


@rows(scaled=True)
@thorough
@given(case=cases(), scale=st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_scores_and_temperature_together_changes_nothing(name, case, scale):
    scores, k, temperature = case = fit(name, case)
    scaled = mask(name, scores * np.float32(scale), k, temperature * scale)
    near = rounding(name, scores, temperature)
    np.testing.assert_allclose(scaled, mask(name, *case), atol=near)


@rows(symmetric=True)
@thorough
@given(case=cases())
def test_mask_of_negated_scores_is_the_complement(name, case):
    scores, k, temperature = fit(name, case)
    k = float(np.float32(len(scores) - np.float32(len(scores) - k)))
    flipped = mask(name, -scores, len(scores) - k, temperature)
    near = 4 * rounding(name, scores, temperature)
    expected = 1 - mask(name, scores, k, temperature)
    np.testing.assert_allclose(flipped, expected, atol=near)


@rows(symmetric=False)
def test_asymmetric_masks_have_no_such_complement(name):
    scores = draw_scores("normal", 17, 1)
    flipped = mask(name, -scores, 12.0, 0.7)
    assert np.abs(flipped - (1 - mask(name, scores, 5.0, 0.7))).max() > 0.01


@rows()
@thorough
@given(case=cases(), fraction=st.floats(0, 1, width=32))
def test_masks_are_nested_in_k(name, case, fraction):
    scores, k, temperature = case = fit(name, case)
    fewer = fit(name, (scores, k * fraction, temperature))
    slack = rounding(name, scores, temperature)
    assert (mask(name, *fewer) <= mask(name, *case) + slack).all()


@rows()
@pytest.mark.parametrize("n", SIZES)
def test_none_and_all_are_exact(name, n):
    scores = draw_scores("normal", n, 0)
    np.testing.assert_array_equal(mask(name, scores, 0, 0.7), np.zeros(n))
    everything = mask(name, scores, n, 0.7)
    exact = ROWS[name].bounded and name != "k_subset"
    if exact:
        np.testing.assert_array_equal(everything, np.ones(n))
    np.testing.assert_allclose(everything.sum(), n, rtol=1e-5)


@rows(real=True, bounded=True)
@thorough
@given(case=cases(sizes=(2, 17)))
def test_derivative_by_k_is_a_distribution(name, case):
    scores, k, temperature = case
    everywhere = np.ones(len(scores), np.float32)
    by_k = compiled_gradients(name)(
        scores, np.float32(k), np.float32(temperature), everywhere
    )[1]
    np.testing.assert_allclose(by_k, 1, atol=1e-5)
    some = np.float32(np.arange(len(scores)) % 3 == 0)
    share = compiled_gradients(name)(
        scores, np.float32(k), np.float32(temperature), some
    )[1]
    assert -1e-6 <= share <= 1 + 1e-6


@rows()
@thorough
@given(case=cases(sizes=(2, 17)))
def test_scores_cannot_drift_together(name, case):
    scores, k, temperature = fit(name, case)
    cotangent = np.sin(1 + np.arange(len(scores), dtype=np.float32))
    gradient = compiled_gradients(name)(
        scores, np.float32(k), np.float32(temperature), cotangent
    )[0]
    total = np.float64(gradient).sum()
    size = np.abs(np.float64(gradient)).sum() + np.abs(cotangent).sum() / temperature
    assert abs(total) <= 32 * EPS * ROWS[name].steepest * size + 1e-6


@rows(laplacian=True)
def test_jacobian_is_a_graph_laplacian(name):
    scores = np.float64(draw_scores("normal", 9, 3))
    jacobian_at = jax.jit(jax.jacrev(ROWS[name].mask))
    for k, temperature in itertools.product((0.0, 2.0, 8.0, 9.0), (0.1, 3.0)):
        with jax.enable_x64(True):
            temperature = max(temperature, ROWS[name].coldest)
            jacobian = np.asarray(jacobian_at(scores, np.float64(k), temperature))
        near = 1e-9 * (1 + np.abs(jacobian).max())
        np.testing.assert_allclose(jacobian, jacobian.T, atol=near)
        np.testing.assert_allclose(jacobian.sum(-1), 0, atol=near)
        assert np.linalg.eigvalsh(jacobian + jacobian.T).min() >= -near
        assert (jacobian - np.diag(np.diag(jacobian)) <= near).all()


@rows()
def test_derivatives_match_finite_differences(name):
    """Value by scores, k and temperature, forward and reverse, in float64."""
    with jax.enable_x64(True):
        weights, step = jnp.cos(jnp.arange(6.0)), 1e-6
        scores = jnp.asarray([0.31, -1.2, 0.9, 0.11, -0.4, 1.7])
        point = (scores, jnp.float64(2.3 if ROWS[name].real else 2), jnp.float64(1.1))
        direction = (jnp.sin(1 + jnp.arange(6.0)), float(ROWS[name].real), -0.3)
        tangent = tuple(jnp.asarray(d, jnp.float64) for d in direction)
        loss = lambda *p: weights @ ROWS[name].mask(*p)
        both = jax.jit(
            lambda p, t: (jax.jvp(loss, p, t), jax.grad(loss, (0, 1, 2))(*p))
        )
        moved = lambda scale: tuple(
            p + scale * d for p, d in zip(point, tangent, strict=True)
        )
        (_, forward), gradients = both(point, tangent)
        values = [both(moved(scale), tangent)[0][0] for scale in (step, -step)]
        difference = (values[0] - values[1]) / (2 * step)
        back = sum(jnp.vdot(g, d) for g, d in zip(gradients, tangent, strict=True))
        assert abs(difference) > 1e-3
        np.testing.assert_allclose(forward, difference, rtol=1e-5)
        np.testing.assert_allclose(back, forward, rtol=1e-9)


@rows(smooth=True)
def test_second_derivatives_match_finite_differences(name):
    with jax.enable_x64(True):
        scores = jnp.asarray(draw_scores("normal", 5, 5), jnp.float64)
        weights, step = jnp.cos(jnp.arange(5.0)), 1e-5
        slope = jax.jit(jax.grad(lambda s: weights @ ROWS[name].mask(s, 2.0, 0.7)))
        exact = jax.jit(jax.hessian(lambda s: weights @ ROWS[name].mask(s, 2.0, 0.7)))(
            scores
        )
        for index in range(5):
            shift = step * (jnp.arange(5) == index)
            difference = (slope(scores + shift) - slope(scores - shift)) / (2 * step)
            np.testing.assert_allclose(exact[index], difference, rtol=1e-5, atol=1e-8)


@rows(band=True)
@thorough
@given(case=cases())
def test_masks_with_a_band_are_hard_exactly_beyond_it(name, case):
    scores, k, temperature = case
    n, k = len(scores), float(int(k))
    if not 0 < k < n:
        return
    ordered = np.sort(np.float64(scores))[::-1]
    gap = ordered[int(k) - 1] - ordered[int(k)]
    m = mask(name, scores, k, temperature)
    if abs(gap - temperature) > 1e-3 * temperature + 8 * EPS * np.abs(scores).max():
        assert bool(((m == 0) | (m == 1)).all()) == (gap > temperature)


@rows(band=False)
def test_masks_approach_the_hard_one(name):
    scores = draw_scores("normal", 17, 2)
    hard = scores >= np.sort(scores)[::-1][4]
    coldest = max(ROWS[name].coldest, 1e-3)
    errors = [
        np.abs(mask(name, scores, 5, temperature) - hard).max()
        for temperature in (1.0, 0.3, coldest)
    ]
    assert errors[0] > errors[1] > errors[2]
    gap = -np.diff(np.sort(scores)[::-1])[4]
    assert errors[2] < 5 * np.exp(-gap / (2 * coldest)) + 1e-6


@rows(laplacian=True)
@pytest.mark.parametrize("k", [1.0, 4.0, 12.0])
def test_mask_becomes_uniform_at_high_temperature(name, k):
    m = mask(name, draw_scores("normal", 17, 0), k, 1e8)
    np.testing.assert_allclose(m, np.full(17, k / 17), rtol=2e-5)


HARD_INPUTS = {
    "ties": [1, 1, 1, 0, -1, 2],
    "equal": [0.7] * 6,
    "one_forbidden": [1, -np.inf, 3, 0, 2, -2],
    "one_certain": [1, np.inf, 3, 0, 2, -2],
    "both": [-np.inf, np.inf, 3, 0, 2, -2],
    "forbidden_but_two": [-np.inf, -np.inf, 3, -np.inf, 2, -np.inf],
    "all_forbidden": [-np.inf] * 6,
    "all_certain": [np.inf] * 6,
    "offset": [1e8, 1e8 + 8, 1e8 - 8, 1e8, 1e8, 1e8],
    "tiny_spread": [1e-8, 2e-8, 3e-8, 0, -1e-8, -2e-8],
    "huge": [1e30, -1e30, 0, 1, 2, 3],
}


@rows()
@pytest.mark.parametrize("x64", [False, True])
def test_nothing_is_nan(name, x64):
    """Value and gradient, under jit and vmap, over every hard input at once."""
    with jax.enable_x64(x64):
        dtype = jnp.float64 if x64 else jnp.float32
        grid = itertools.product(
            HARD_INPUTS.values(), (0, 1e-3, 2, 2.5, 5.999, 6), TEMPERATURES
        )
        columns = zip(*grid, strict=True)
        scores, k, temperature = (jnp.asarray(np.array(c), dtype) for c in columns)
        weights = jnp.cos(jnp.arange(6, dtype=dtype))
        one = lambda *p: weights @ ROWS[name].mask(*p)
        by = (0, 1, 2) if ROWS[name].real else (0,)  # k_subset has no temperature
        both = jax.jit(jax.vmap(jax.value_and_grad(one, by)))
        value, gradients = both(scores, k, temperature)
        for array in (value, *gradients):
            assert jnp.isfinite(array).all()


@rows()
def test_infinite_scores_come_first_and_last(name):
    scores = np.array([-np.inf, 0.3, np.inf, 0.1, -np.inf, 0.2], np.float32)
    m = mask(name, scores, 3, 1.0)
    np.testing.assert_allclose(m[[0, 2, 4]], [0, 1, 0], atol=1e-6)
    assert (m[[1, 3, 5]] > 0.1).all()


@rows()
def test_debug_nans_finds_none(name):
    with jax.debug_nans(True):
        scores = jnp.asarray(draw_scores("wide", 17, 0))
        for k in (0.0, 3.0, 17.0):
            gradients = compiled_gradients(name)(
                scores, jnp.float32(k), jnp.float32(1e-3), jnp.cos(jnp.arange(17.0))
            )
            assert jnp.isfinite(gradients[0]).all()


@rows()
def test_one_compilation_serves_every_k_and_temperature(name):
    traces = 0

    @jax.jit
    def apply(scores, k, temperature):
        nonlocal traces
        traces += 1
        return ROWS[name].mask(scores, k, temperature)

    for k, temperature in itertools.product((0.0, 2.0, 6.0), (0.5, 1.0)):
        apply(jnp.arange(6.0), jnp.float32(k), jnp.float32(temperature))
    assert traces == 1


@rows()
def test_a_batch_is_its_rows(name):
    scores = np.stack([draw_scores("normal", 17, seed) for seed in range(6)])
    k = np.float32([0, 2, 5, 9, 16, 17])
    together = compiled(name)(scores.reshape(2, 3, 17), k.reshape(2, 3), np.float32(1))
    for row, alone in enumerate(together.reshape(6, 17)):
        np.testing.assert_allclose(mask(name, scores[row], k[row], 1), alone, atol=1e-6)


@rows()
def test_bfloat16_is_computed_in_float32(name):
    scores = jnp.asarray(draw_scores("normal", 17, 0), jnp.bfloat16)
    m = compiled(name)(scores, np.float32(5), np.float32(1))
    assert m.dtype == jnp.bfloat16
    wide = jnp.bfloat16(mask(name, scores.astype(jnp.float32), 5, 1))
    # One last place: k_subset divides by the temperature before it widens.
    np.testing.assert_allclose(np.float32(m), np.float32(wide), atol=2**-7)


@rows()
def test_gradient_survives_checkpoint_and_shard_map(name):
    scores = jnp.stack([draw_scores("normal", 6, seed) for seed in range(4)])
    row_loss = lambda s: jnp.square(ROWS[name].mask(s, 3.0, 1.0)).sum()
    plain = jax.jit(jax.grad(row_loss))(scores)

    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    total = jax.shard_map(
        lambda s: jax.lax.psum(jax.checkpoint(row_loss)(s), "d"),
        mesh=mesh,
        in_specs=spec("d"),
        out_specs=spec(),
    )
    sharded = jax.jit(jax.grad(total))(scores)
    np.testing.assert_allclose(sharded, plain, rtol=1e-5, atol=1e-6)


@rows()
@pytest.mark.parametrize(
    ("k", "temperature"), [(-1, 1.0), (7, 1.0), (3, 0.0), (3, -1.0)]
)
def test_values_out_of_range_are_named(name, k, temperature):
    if name == "k_subset" and temperature <= 0:
        temperature, k = 1.0, 9  # it has no temperature of its own
    with pytest.raises(ValueError, match=r"needs (k in \[0, 6\]|temperature > 0), got"):
        ROWS[name].mask(jnp.arange(6.0), k, temperature)
