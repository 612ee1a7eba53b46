"""Curves between their points, their areas and differences, and fronts, by hand."""

import numpy as np
import pytest

from dynsparse import reports
from dynsparse.reports import tradeoff
from dynsparse.reports.comparison import areas
from dynsparse.reports.stats import mean_interval
from dynsparse.reports.tradeoff import REACH, curves, value_at


def row(method, seed, macs, time, accuracy):
    return dict(
        method=method,
        setting="any",
        seed=seed,
        macs_mean=macs,
        macs_dense=100,
        latency_ms=time,
        latency_dense_ms=10.0,
        score=accuracy,
    )


CURVE = [(0.2, 0.5), (0.4, 0.9), (1.0, 0.9)]


def test_a_curve_is_sorted_and_points_of_one_cost_are_one():
    rows = [row("m", 0, macs, 1.0, a) for macs, a in ((50, 1.0), (20, 0.4), (50, 0.0))]
    rows += [row("dense", 0, 100, 1.0, 1.0)]
    curve = curves(reports.read_points(rows))["m"][0]
    assert curve == [(0.2, 0.4), (0.5, 0.5)]


@pytest.mark.parametrize(
    ("cost", "value"), [(0.2, 0.5), (0.3, 0.7), (0.7, 0.9), (0.2 - REACH / 2, 0.5)]
)
def test_between_points_the_value_is_linear_and_at_an_end_that_of_the_end(cost, value):
    np.testing.assert_allclose(value_at(CURVE, cost), value)


@pytest.mark.parametrize("cost", [0.2 - 2 * REACH, 1.0 + 2 * REACH])
def test_a_curve_is_not_extrapolated(cost):
    assert value_at(CURVE, cost) is None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.2, 1.0, (0.2 * 0.7 + 0.6 * 0.9) / 0.8),
        (0.3, 0.4, 0.8),  # the end is read between its neighbours
        (0.3, 0.5, (0.1 * 0.8 + 0.1 * 0.9) / 0.2),
        (0.5, 0.6, 0.9),  # no point inside
    ],
)
def test_area_by_hand(low, high, expected):
    np.testing.assert_allclose(tradeoff.area(CURVE, low, high), expected)


def test_area_is_the_mean_of_the_interpolated_curve():
    costs = np.linspace(0.25, 0.95, 200_001)
    mean = np.interp(costs, *zip(*CURVE, strict=True)).mean()
    np.testing.assert_allclose(tradeoff.area(CURVE, 0.25, 0.95), mean, rtol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.5), (0.5, 1.1), (0.5, 0.5)])
def test_an_area_beyond_the_curve_is_an_error_with_the_range(low, high):
    with pytest.raises(ValueError, match=rf"low={low} and high={high}"):
        tradeoff.area(CURVE, low, high)


def test_common_range_is_what_all_reach():
    assert tradeoff.common_range([CURVE, [(0.3, 0.0), (0.8, 1.0)]]) == (0.3, 0.8)
    assert tradeoff.common_range([CURVE, [(1.5, 0.0), (2.0, 1.0)]]) is None
    assert tradeoff.common_range([]) is None


def test_front_by_hand():
    points = [(0.2, 0.5), (0.3, 0.4), (0.3, 0.6), (0.3, 0.6), (0.4, 0.6)]
    assert tradeoff.pareto_front(points) == [True, False, True, True, False]


def test_front_holds_the_cheapest_of_the_best_and_the_best_of_the_cheapest():
    rng = np.random.default_rng(0)
    for number in range(1, 100):
        places = rng.integers(0, 5, (1 + number % 12, 2))  # few: many are equal
        points = [(float(cost), float(value)) for cost, value in places]
        on_front = tradeoff.pareto_front(points)
        front = [p for p, on in zip(points, on_front, strict=True) if on]
        assert max(points, key=lambda p: (p[1], -p[0])) in front
        assert min(points, key=lambda p: (p[0], -p[1])) in front
        values = [value for _, value in sorted(set(front))]
        assert values == sorted(set(values))  # dearer is strictly better


ROWS = [
    row("slow", 0, 20, 6.0, 0.5),
    row("slow", 0, 60, 10.0, 0.9),
    row("fast", 0, 20, 2.0, 0.5),
    row("fast", 0, 60, 8.0, 0.8),
    row("dense", 0, 100, 10.0, 0.9),
]


def test_areas_by_hand():
    words, table = areas(reports.read_points(ROWS))
    assert "from 0.200 to 0.600" in words
    assert "| slow | 70.00 | 1 |" in table
    assert "| fast | 65.00 | 1 |" in table
    assert "dense" not in table


def test_no_common_cost_is_said():
    other = [row("other", 0, 70, 1.0, 0.5), row("other", 0, 90, 2.0, 0.6)]
    (words,) = areas(reports.read_points([*ROWS, *other]))
    assert words.startswith("No area against FLOPs")


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        ("macs", "- against fast over 0.200 to 0.600: better, +5.00 ± 0.00 points"),
        ("time", "- against fast over 0.600 to 0.800: worse, -15.00 ± 0.00 points"),
    ],
)
def test_area_differences_by_hand(cost, line):
    again = [found | dict(seed=1) for found in ROWS]
    for found in again:  # seeds differ, pairs do not
        found["score"] -= 0.2
    points = reports.read_points([*ROWS, *again])
    others = ["fast", "dense", "no"]
    (_, lines), verdicts = reports.area_differences(points, "slow", others, cost)
    assert f"{line} (p by Holm: < 0.001)" in lines
    assert verdicts == ["supported" if "better" in line else "contradicted"]
    assert "- against dense: nothing in common" in lines
    assert "- against no: nothing in common" in lines


def test_a_pair_is_compared_where_a_third_does_not_reach():
    short = [row("short", 0, 20, 6.0, 0.5), row("short", 0, 30, 8.0, 0.6)]
    points = reports.read_points([*ROWS, *short])
    (_, lines), _ = reports.area_differences(points, "slow", ["fast", "short"])
    assert "- against fast over 0.200 to 0.600: undecided, +5.00 points" in lines
    assert "- against short over 0.200 to 0.300: undecided, +0.00 points" in lines


def test_area_differences_are_corrected_over_the_pairs():
    found, noise = [], (0.01, 0.011, 0.012)
    for seed, gap in enumerate(noise):
        for method, lost in dict(mine=0.0, a=gap, b=gap, c=gap).items():
            found += [row(method, seed, m, m, 0.8 - lost) for m in (20, 100)]
    points = reports.read_points(found)
    p = mean_interval(noise).p
    for others in (["a"], ["a", "b", "c"]):
        (_, lines), _ = reports.area_differences(points, "mine", others)
        assert f"(p by Holm: {len(others) * p:.3f})" in lines


@pytest.mark.parametrize("metric", ["rmse", "cross entropy (nats/character)"])
def test_runs_judged_otherwise_are_not_compared_as_accuracies(metric):
    others = [found | dict(metric=metric) for found in ROWS]
    with pytest.raises(ValueError, match="judged by accuracy") as caught:
        reports.read_points([*ROWS, *others])
    assert metric in str(caught.value)
    alike = [found | dict(metric=reports.Metric().label) for found in ROWS]
    assert reports.read_points(alike) == reports.read_points(ROWS)
