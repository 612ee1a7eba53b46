"""Properties of every mask of k of n. A new operator adds one row to rows.py."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.cases import FEW, cases, fit, rows, thorough
from tests.ops.rows import (
    EPS,
    ROWS,
    SIZES,
    draw_scores,
    mask,
    rounding,
    sum_tolerance,
)


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


@rows(FEW)
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


@rows(FEW)
@thorough
@given(case=cases(), shift=st.sampled_from([-64.0, 1024.0]))
def test_mask_does_not_change_with_a_shift(name, case, shift):
    scores, k, temperature = fit(name, case)
    scores = (scores + np.float32(shift)) - np.float32(shift)  # representable after it
    moved = mask(name, scores + np.float32(shift), k, temperature)
    still = mask(name, scores, k, temperature)
    near = rounding(name, scores, temperature)
    centred = ROWS[name].laplacian or name in ("soft_sort", "relaxed_subset")
    if not centred or name == "k_subset":
        near += 8 * EPS * ROWS[name].steepest * (abs(shift) / temperature)
    np.testing.assert_allclose(moved, still, atol=near)


@rows(FEW, scaled=True)
@thorough
@given(case=cases(), scale=st.sampled_from([0.25, 2.0, 1024.0]))
def test_scaling_scores_and_temperature_together_changes_nothing(name, case, scale):
    scores, k, temperature = case = fit(name, case)
    scaled = mask(name, scores * np.float32(scale), k, temperature * scale)
    near = rounding(name, scores, temperature)
    np.testing.assert_allclose(scaled, mask(name, *case), atol=near)


@rows(FEW, symmetric=True)
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


@rows(FEW)
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


@rows()
@pytest.mark.parametrize(
    ("k", "temperature"), [(-1, 1.0), (7, 1.0), (3, 0.0), (3, -1.0)]
)
def test_values_out_of_range_are_named(name, k, temperature):
    if name == "k_subset" and temperature <= 0:
        temperature, k = 1.0, 9  # it has no temperature of its own
    with pytest.raises(ValueError, match=r"needs (k in \[0, 6\]|temperature > 0), got"):
        ROWS[name].mask(jnp.arange(6.0), k, temperature)
