"""Properties of the logistic soft top-k mask, against float64 references."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dynsparse import ops
from tests.ops import reference
from tests.ops.cases import cases
from tests.ops.rows import (
    EPS,
    ROWS,
    TEMPERATURES,
    compiled,
    draw_scores,
)
from tests.sampled import sampled

thorough = settings(deadline=None, max_examples=60, derandomize=True)


@jax.jit
def mask_of(scores, k, temperature):
    return ops.soft_topk_mask(scores, k, temperature)


@jax.jit
def gradients_of(scores, k, temperature, cotangent):
    loss = lambda *arguments: cotangent @ ops.soft_topk_mask(*arguments)
    return jax.grad(loss, (0, 1, 2))(scores, k, temperature)


def mask(scores, k, temperature):
    scores = jnp.asarray(scores, jnp.float32)
    return np.asarray(mask_of(scores, np.float32(k), np.float32(temperature)))


def slope_sum(scores, temperature, m):
    return float((np.float64(m) * (1 - np.float64(m))).sum() / temperature)


def tolerance(scores, k, temperature, m):
    """Floor of float32: the threshold's last place times the slope of the sum."""
    spread = float(np.abs(scores - scores.max()).max()) + temperature * 20
    return (
        4 * EPS * (spread * slope_sum(scores, temperature, m) + len(m) ** 0.5 * k + 1)
    )


@thorough
@given(cases())
def test_mask_matches_the_float64_reference(case):
    scores, k, temperature = case
    m = mask(*case)
    expected, *_ = reference.soft_topk(scores, k, temperature)
    # A last-place error of u moves the mask by at most a quarter of it.
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    np.testing.assert_allclose(m, expected, atol=2 * EPS * spread + 2 * EPS, rtol=0)


@thorough
@given(cases(), st.sampled_from([-1e8, -64.0, 1024.0, 1e8]))
def test_a_shift_changes_not_a_bit(case, shift):
    scores, k, temperature = case
    scores = (scores + np.float32(shift)) - np.float32(shift)  # representable after it
    moved = mask(scores + np.float32(shift), k, temperature)
    np.testing.assert_array_equal(moved, mask(scores, k, temperature))


@thorough
@given(cases(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_powers_of_two_change_not_a_bit(case, scale):
    scores, k, temperature = case
    scaled = mask(scores * np.float32(scale), k, temperature * scale)
    np.testing.assert_array_equal(scaled, mask(*case))


@pytest.mark.parametrize("temperature", [1e-4, 0.01, 1.0])
@pytest.mark.parametrize("k", [0.0, 0.5, 1000.5, 4095.0, 4096.0])
def test_long_rows_match_the_reference_and_sum_to_k(k, temperature):
    scores = draw_scores("normal", 4096, 7)
    m = mask(scores, k, temperature)
    expected, *_ = reference.soft_topk(scores, k, float(np.float32(temperature)))
    spread = np.abs(scores - scores.max()).max() / temperature + 20
    np.testing.assert_allclose(m, expected, atol=2 * EPS * spread + 2 * EPS)
    assert abs(np.float64(m).sum() - k) <= tolerance(scores, k, temperature, m)


def plateau_tolerance(scores, temperature):
    """Relative error of exp(-|u|) that a last-place error of the threshold makes."""
    return 1e-4 + 16 * EPS * float(np.abs(scores).max()) / temperature


@thorough
@given(cases())
def test_gradients_match_the_float64_closed_form(case):
    scores, k, temperature = case
    relative = plateau_tolerance(scores - scores.max(), temperature)
    assume(relative < 0.1)  # else float32 cannot represent the threshold finely enough
    cotangent = np.cos(np.arange(len(scores), dtype=np.float32))
    found = gradients_of(scores, np.float32(k), np.float32(temperature), cotangent)
    expected = reference.gradients(scores, k, temperature, cotangent)
    _, _, slope = reference.soft_topk(scores, k, temperature)
    for by, (value, right) in enumerate(zip(found, expected, strict=True)):
        scale = (1.0, 1.0, 20.0)[by] * (1.0 if by == 1 else slope.max() + 1e-30)
        np.testing.assert_allclose(value, right, rtol=relative, atol=relative * scale)


# The plateau hazard: between the k-th and the next score every entry rounds to 0 or 1,
# and a float32 sum is flat. The derivative by k still knows where the threshold is.
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.03, 0.02, 0.01, 0.003, 1e-3])
def test_threshold_is_right_where_the_sum_is_flat(temperature):
    scores = np.array([3.0, 2.1, 1.9, 1.0, 0.2, -0.4], np.float32)
    cotangent = np.array([0, 0, 1, 0, 0, 0], np.float32)
    _, by_k, _ = gradients_of(scores, np.float32(3), np.float32(temperature), cotangent)
    _, weights, _ = reference.soft_topk(scores, 3, float(np.float32(temperature)))
    np.testing.assert_allclose(by_k, weights[2], rtol=8 * EPS * 3 / temperature + 1e-5)


@jax.jit
def threshold_of(scores, k, temperature):
    return ops.soft_topk_threshold(scores, k, temperature)


@thorough
@given(
    st.sampled_from((2, 17, 128)),
    st.integers(0, 1000),
    st.floats(0, 4),
    st.sampled_from([0.0, -5.0, 100.0]),
)
def test_threshold_is_within_four_last_places(n, seed, log_ratio, offset):
    scores = draw_scores("normal", n, seed) + np.float32(offset)
    k = 1 + seed % (n - 1)
    ordered = np.sort(np.float64(scores))[::-1]
    temperature = np.float32((ordered[k - 1] - ordered[k]) / 10**log_ratio)
    assume(temperature > 0)
    found = threshold_of(scores, np.float32(k), temperature)
    expected = reference.threshold(scores, k, float(temperature))
    last_place = float(np.spacing(np.abs(scores).max()))
    assert abs(float(found) - expected) <= 4 * last_place


@pytest.mark.parametrize(
    "family", sampled(["logistic", "laplace", "capped"], ["logistic"])
)
@pytest.mark.parametrize("temperature", [1.0, 0.01])
def test_a_million_units_sum_to_k_within_the_floor(family, temperature):
    n, k = 2**20, 2**18 + 0.5
    scores = draw_scores("normal", n, 0)
    m = np.float64(compiled(family)(scores, k, temperature))
    slope = ((m > 0) & (m < 1)).sum() * ROWS[family].steepest / temperature
    if family == "logistic":
        slope = (m * (1 - m)).sum() / temperature
    floor = EPS * np.abs(scores).max() * slope + EPS * n**0.5 * k
    assert abs(m.sum() - k) <= floor


@pytest.mark.parametrize("argument", [0, 1, 2])
def test_second_derivatives_match_finite_differences(argument):
    with jax.enable_x64(True):
        scores = jnp.asarray(draw_scores("normal", 5, 5), jnp.float64)
        point = [scores, jnp.float64(2.3), jnp.float64(0.7)]
        weights = jnp.cos(jnp.arange(5.0))
        loss = lambda *p: weights @ ops.soft_topk_mask(*p)
        slope = lambda *p: jax.grad(loss, argument)(*p).sum() + jax.grad(loss)(*p)[0]
        both = jax.jit(jax.value_and_grad(slope, argument))
        step = 1e-5
        exact = both(*point)[1]
        for index in np.ndindex(np.shape(point[argument])):
            shift = jnp.zeros_like(point[argument]).at[index].set(step)
            above, below = list(point), list(point)
            above[argument], below[argument] = (
                point[argument] + shift,
                point[argument] - shift,
            )
            difference = (both(*above)[0] - both(*below)[0]) / (2 * step)
            np.testing.assert_allclose(exact[index], difference, rtol=1e-5, atol=1e-8)


def test_second_derivatives_are_finite_where_all_entries_saturate():
    loss = lambda s, k: ops.soft_topk_mask(s, k, 1e-3) @ jnp.cos(jnp.arange(6.0))
    hessian = jax.jit(jax.hessian(loss))
    for k in (0.0, 3.0, 6.0):
        assert jnp.isfinite(hessian(jnp.arange(6.0), k)).all()


@thorough
@given(st.sampled_from((2, 17, 128)), st.integers(0, 50), st.sampled_from(TEMPERATURES))
def test_mask_approaches_the_hard_one_within_the_bound(n, seed, temperature):
    scores = draw_scores("normal", n, seed)
    k = 1 + seed % (n - 1)
    ordered = np.sort(scores)[::-1]
    gap = float(ordered[k - 1] - ordered[k])
    hard = scores >= ordered[k - 1]
    error = np.abs(mask(scores, k, temperature) - hard).max()
    bound = np.sqrt(k * (n - k)) * np.exp(-gap / (2 * temperature))
    assert error <= bound + 1e-6


@pytest.mark.parametrize("k", [1.0, 2.0, 3.5])
def test_infinite_scores_forbid_and_decide(k):
    m = mask(np.array([-np.inf, np.inf, 3, 0, 2, -2], np.float32), k, 0.5)
    assert m[0] == 0
    assert m[1] == 1
    np.testing.assert_allclose(m[2:], mask([3.0, 0, 2, -2], k - 1, 0.5), rtol=1e-5)


def test_nan_scores_spoil_their_row_alone():
    scores = np.array([[1, np.nan, 2], [1, 0, 2]], np.float32)
    m = np.asarray(mask_of(scores, np.float32(2), np.float32(1)))
    assert np.isnan(m[0]).all()
    np.testing.assert_allclose(m[1].sum(), 2, rtol=1e-6)


def test_each_row_has_its_own_k_and_temperature():
    scores = np.stack([draw_scores("normal", 17, seed) for seed in range(3)])
    k, temperature = np.float32([2, 5.5, 17]), np.float32([0.1, 1, 3])
    together = mask_of(scores, k, temperature)
    alone = [mask(*row) for row in zip(scores, k, temperature, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize(
    ("k", "temperature"), [(-1, 1.0), (7, 1.0), (3, 0.0), (3, -1.0)]
)
def test_values_out_of_range_are_named(k, temperature):
    with pytest.raises(ValueError, match=r"needs (k in \[0, 6\]|temperature > 0), got"):
        ops.soft_topk_mask(jnp.arange(6.0), k, temperature)


def test_traced_k_out_of_range_is_clipped():
    np.testing.assert_array_equal(mask(np.arange(6), 9, 1), np.ones(6))
    np.testing.assert_array_equal(mask(np.arange(6), -2, 1), np.zeros(6))
