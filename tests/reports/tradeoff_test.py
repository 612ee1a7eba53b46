"""Curves between their points, areas and fronts, in closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynsparse import reports
from dynsparse.reports.tradeoff import REACH, curve_through, value_at

CURVE = [(0.2, 0.5), (0.4, 0.9), (1.0, 0.9)]


def test_a_curve_is_sorted_and_points_of_one_cost_are_one():
    assert curve_through([(0.5, 1.0), (0.2, 0.4), (0.5, 0.0)]) == [
        (0.2, 0.4),
        (0.5, 0.5),
    ]


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
    np.testing.assert_allclose(reports.area(CURVE, low, high), expected)


def test_area_is_the_mean_of_the_interpolated_curve():
    costs = np.linspace(0.25, 0.95, 200_001)
    mean = np.interp(costs, *zip(*CURVE, strict=True)).mean()
    np.testing.assert_allclose(reports.area(CURVE, 0.25, 0.95), mean, rtol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.5), (0.5, 1.1), (0.5, 0.5)])
def test_an_area_beyond_the_curve_is_an_error_with_the_range(low, high):
    with pytest.raises(ValueError, match=rf"low={low} and high={high}"):
        reports.area(CURVE, low, high)


def test_common_range_is_what_all_reach():
    assert reports.common_range([CURVE, [(0.3, 0.0), (0.8, 1.0)]]) == (0.3, 0.8)
    assert reports.common_range([CURVE, [(1.5, 0.0), (2.0, 1.0)]]) is None
    assert reports.common_range([]) is None


def test_front_by_hand():
    points = [(0.2, 0.5), (0.3, 0.4), (0.3, 0.6), (0.3, 0.6), (0.4, 0.6)]
    assert reports.pareto_front(points) == [True, False, True, True, False]


grid = st.integers(0, 4).map(float)


@given(st.lists(st.tuples(grid, grid), min_size=1, max_size=12))
def test_front_holds_the_cheapest_of_the_best_and_the_best_of_the_cheapest(points):
    front = [
        p for p, on in zip(points, reports.pareto_front(points), strict=True) if on
    ]
    assert max(points, key=lambda p: (p[1], -p[0])) in front
    assert min(points, key=lambda p: (p[0], -p[1])) in front
    values = [value for _, value in sorted(set(front))]
    assert values == sorted(set(values))  # dearer is strictly better
