"""Intervals and tests against scipy.stats, and the cases that have no answer."""

import math

import numpy as np
import pytest
from scipy import stats

from dynsparse import reports

SAMPLES = [np.random.default_rng(n).normal(0.9, 0.01, n).tolist() for n in (2, 3, 10)]


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_interval_is_students(values):
    found = reports.mean_interval(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    np.testing.assert_allclose(
        [found.mean - found.half, found.mean + found.half], [low, high], rtol=1e-12
    )
    assert found.number == len(values)


def test_a_single_seed_has_a_mean_and_no_interval():
    found = reports.mean_interval([0.5])
    assert (found.mean, found.number) == (0.5, 1)
    assert math.isnan(found.half)


def test_no_value_has_no_mean():
    with pytest.raises(ValueError, match="at least one value"):
        reports.mean_interval([])


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_paired_difference_is_the_paired_t_test(values):
    others = np.random.default_rng(7).normal(0.895, 0.01, len(values))
    found = reports.paired_difference(
        dict(enumerate(values)), dict(enumerate(others.tolist()))
    )
    expected = stats.ttest_rel(values, others)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.p, expected.pvalue, rtol=1e-10)
    np.testing.assert_allclose(found.mean - found.half, interval.low, rtol=1e-9)


def test_pairs_are_of_the_seeds_that_both_have():
    found = reports.paired_difference(
        {1: 0.5, 2: 0.7, 3: 9.0}, {2: 0.6, 1: 0.3, 4: 9.0}
    )
    np.testing.assert_allclose(found.mean, 0.15)
    assert found.number == 2


def test_nothing_to_pair_is_an_error_with_the_seeds():
    with pytest.raises(ValueError, match=r"seeds \[1\] here and \[2\] there"):
        reports.paired_difference({1: 0.5}, {2: 0.5})


@pytest.mark.parametrize(("gap", "p"), [(0.0, 1.0), (0.25, 0.0)])
def test_differences_without_spread_are_chance_only_if_zero(gap, p):
    left = {seed: 0.5 + gap for seed in range(3)}
    assert reports.paired_difference(left, dict.fromkeys(range(3), 0.5)).p == p


def test_holm_by_hand():
    found = reports.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])


def test_holm_lies_between_one_test_and_bonferroni_and_keeps_the_order():
    p = np.random.default_rng(0).uniform(size=20) ** 3
    found = np.array(reports.holm(p.tolist()))
    assert (found >= p).all()
    assert (found <= np.minimum(1, 20 * p)).all()
    assert (np.diff(found[np.argsort(p)]) >= 0).all()


def test_holm_does_not_count_what_was_not_tested():
    first, nothing, second = reports.holm([0.02, math.nan, 0.03])
    np.testing.assert_allclose([first, second], [0.04, 0.04])
    assert math.isnan(nothing)


def test_pairs_of_one_family_are_corrected_together():
    zeros = dict.fromkeys(range(4), 0.0)
    values = ({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, {0: 1.0, 1: -1.0, 2: 1.0, 3: 1.0})
    pairs = {name: (some, zeros) for name, some in zip("ab", values, strict=True)}
    found = reports.paired_differences(pairs)
    alone = [reports.paired_difference(*pair) for pair in pairs.values()]
    assert [gap for gap, _ in found.values()] == alone
    assert [p for _, p in found.values()] == reports.holm([gap.p for gap in alone])
    assert found["a"][1] > alone[0].p
