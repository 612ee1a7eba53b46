"""Intervals and tests against scipy.stats, means over seeds, and answers to claims."""

import math

import numpy as np
import pytest
from scipy import stats

from dynsparse import reports
from dynsparse.reports.stats import holm, mean_interval, over_seeds


def difference(left, right):
    return reports.paired_differences(dict(here=(left, right)))["here"]


SAMPLES = [np.random.default_rng(n).normal(0.9, 0.01, n).tolist() for n in (2, 3, 10)]


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_interval_is_students(values):
    found = mean_interval(values)
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    np.testing.assert_allclose(
        [found.mean - found.half, found.mean + found.half], [low, high], rtol=1e-12
    )
    assert found.number == len(values)


def test_a_single_seed_has_a_mean_and_no_interval():
    found = mean_interval([0.5])
    assert (found.mean, found.number) == (0.5, 1)
    assert math.isnan(found.half)


def test_no_value_has_no_mean():
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])


@pytest.mark.parametrize("values", SAMPLES, ids=len)
def test_paired_difference_is_the_paired_t_test(values):
    others = np.random.default_rng(7).normal(0.895, 0.01, len(values))
    found = difference(dict(enumerate(values)), dict(enumerate(others.tolist())))
    expected = stats.ttest_rel(values, others)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(found.p, expected.pvalue, rtol=1e-10)
    np.testing.assert_allclose(found.mean - found.half, interval.low, rtol=1e-9)


def test_pairs_are_of_the_seeds_that_both_have():
    found = difference({1: 0.5, 2: 0.7, 3: 9.0}, {2: 0.6, 1: 0.3, 4: 9.0})
    np.testing.assert_allclose(found.mean, 0.15)
    assert found.number == 2


def test_nothing_to_pair_is_an_error_with_the_seeds():
    with pytest.raises(ValueError, match=r"seeds \[1\] here and \[2\] there"):
        difference({1: 0.5}, {2: 0.5})


@pytest.mark.parametrize(("gap", "p"), [(0.0, 1.0), (0.25, 0.0)])
def test_differences_without_spread_are_chance_only_if_zero(gap, p):
    left = {seed: 0.5 + gap for seed in range(3)}
    assert difference(left, dict.fromkeys(range(3), 0.5)).p == p


def test_holm_by_hand():
    found = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])


def test_holm_lies_between_one_test_and_bonferroni_and_keeps_the_order():
    p = np.random.default_rng(0).uniform(size=20) ** 3
    found = np.array(holm(p.tolist()))
    assert (found >= p).all()
    assert (found <= np.minimum(1, 20 * p)).all()
    assert (np.diff(found[np.argsort(p)]) >= 0).all()


def test_holm_does_not_count_what_was_not_tested():
    first, nothing, second = holm([0.02, math.nan, 0.03])
    np.testing.assert_allclose([first, second], [0.04, 0.04])
    assert math.isnan(nothing)


def test_pairs_of_one_family_are_corrected_together():
    zeros = dict.fromkeys(range(4), 0.0)
    values = ({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}, {0: 1.0, 1: -1.0, 2: 1.0, 3: 1.0})
    pairs = {name: (some, zeros) for name, some in zip("ab", values, strict=True)}
    found = reports.paired_differences(pairs)
    alone = [difference(*pair) for pair in pairs.values()]
    assert [gap.mean for gap in found.values()] == [gap.mean for gap in alone]
    assert [gap.corrected_p for gap in found.values()] == holm([g.p for g in alone])
    assert found["a"].corrected_p > found["a"].p == alone[0].p


ROWS = [
    dict(gate="a", at=0.5, seed=seed, error=error, name="x")
    for seed, error in enumerate((0.1, 0.2, 0.6))
]
ROWS += [dict(gate="b", at=0.5, seed=0, error=-0.25, name="y")]


def test_rows_are_means_with_students_interval():
    several, one = over_seeds(ROWS, ("gate", "at"), ("error",))
    assert (several["gate"], several["at"], several["seeds"]) == ("a", 0.5, 3)
    np.testing.assert_allclose(several["error"].mean, 0.3)
    half = 4.302653 * np.std((0.1, 0.2, 0.6), ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(several["error"].half, half, rtol=1e-6)
    assert (one["gate"], one["seeds"], one["error"].mean) == ("b", 1, -0.25)
    assert math.isnan(one["error"].half)


def test_words_have_the_interval_where_there_is_one():
    form, draw = dict(error="+.2f"), lambda figure, means: None
    report = reports.report_means(ROWS, ["gate"], form, notes=[], draw=draw)
    several, one = report.table
    assert several == dict(gate="a", error="+0.30 ± 0.66", seeds=3)
    assert one == dict(gate="b", error="-0.25", seeds=1)


def test_a_column_is_read_by_seed_at_its_place():
    assert reports.by_seed(ROWS, "error", gate="a") == {0: 0.1, 1: 0.2, 2: 0.6}
    assert reports.by_seed(ROWS, "error", gate="b", at=0.5) == {0: -0.25}
    assert reports.by_seed(ROWS, "error", gate="b", at=1.0) == {}


ENOUGH = dict(seeds=5)


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (
            ["supported", True],
            "**Supported**: supported for 2 of 2 places, contradicted for 0, "
            "inconclusive for 0.",
        ),
        (
            ["inconclusive", "supported", False],
            "**Contradicted**: supported for 1 of 3 places, contradicted for 1, "
            "inconclusive for 1.",
        ),
        (
            ["supported", "inconclusive"],
            "**Inconclusive**: supported for 1 of 2 places, contradicted for 0, "
            "inconclusive for 1.",
        ),
        (
            ["supported", "supported in part"],
            "**Inconclusive**: supported for 1 of 2 places, supported in part for 1, "
            "contradicted for 0, inconclusive for 0.",
        ),
        ([], "**Inconclusive**: there is nothing to judge."),
    ],
)
def test_one_contradiction_contradicts_and_only_all_support(verdicts, said):
    assert reports.answer(verdicts, "places", **ENOUGH) == said
    assert reports.answer(verdicts, "places") == said  # where no seed decides


def test_few_seeds_answer_nothing():
    said = reports.answer(["supported"], "places", seeds=4)
    assert said.startswith("**Inconclusive**: fewer than 5 seeds")


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ((0.0, 0.001, 0.002), "supported"),
        ((-0.02, -0.021, -0.022), "contradicted"),
        ((-0.02, 0.02, 0.03), "inconclusive"),
        ((0.5,), "inconclusive"),  # one seed has no interval
    ],
)
def test_a_bound_is_judged_by_the_whole_interval(gaps, said):
    assert mean_interval(gaps).beside(-0.005) == said


@pytest.mark.parametrize(
    ("mean", "p", "said"),
    [
        (0.1, 0.049, "supported"),
        (-0.1, 0.049, "contradicted"),
        (0.1, 0.051, "inconclusive"),
        (0.1, math.nan, "inconclusive"),
    ],
)
def test_a_difference_is_judged_by_its_sign_and_p(mean, p, said):
    gap = reports.Interval(mean, half=0.1, number=3, p=0.01, corrected_p=p)
    assert gap.verdict() == said
