"""Accuracy against cost: curves between their points, areas and Pareto fronts."""

from collections.abc import Sequence

import numpy as np

Curve = Sequence[tuple[float, float]]  # (cost, value), by ascending cost, none twice

REACH = 0.01  # of the dense MACs: costs no further apart than that are equal


def curve_through(points: Sequence[tuple[float, float]]) -> Curve:
    """Returns the curve through `points`, (cost, value) pairs in any order.

    Points of one cost become one, with the mean of their values.
    """
    values: dict[float, list[float]] = {}
    for cost, value in sorted(points):
        values.setdefault(cost, []).append(value)
    return [(cost, sum(found) / len(found)) for cost, found in values.items()]


def value_at(curve: Curve, cost: float) -> float | None:
    """Returns the value of a curve at a cost, by linear interpolation.

    A curve is never extrapolated: beyond its ends it has no value (None), except within
    `REACH` of one, whose value it has there.

    Args:
        curve: At least one point.
        cost: In the unit of the curve, a fraction of the dense MACs.
    """
    costs, values = zip(*curve, strict=True)
    if not costs[0] - REACH <= cost <= costs[-1] + REACH:
        return None
    return float(np.interp(cost, costs, values))


def area(curve: Curve, low: float, high: float) -> float:
    """Returns the normalised area under a curve: its mean value from `low` to `high`.

    The integral of the piecewise linear curve through the points, over [low, high],
    divided by high - low. It is the trapezoid rule over the points inside the range and
    its two ends, where the value is interpolated linearly between the neighbours.
    A constant curve has the area of its constant, whatever the range.

    Args:
        curve: Reaches from `low` or less to `high` or more.
        low: First cost.
        high: Last cost.

    Raises:
        ValueError: If the range is empty or the curve does not reach over it.
    """
    costs, values = (np.array(side) for side in zip(*curve, strict=True))
    if not costs[0] <= low < high <= costs[-1]:
        raise ValueError(
            f"an area needs a range within [{costs[0]}, {costs[-1]}], the costs of the "
            f"curve, and low < high, got {low=} and {high=}."
        )
    at = [low, *costs[(costs > low) & (costs < high)], high]
    return float(np.trapezoid(np.interp(at, costs, values), at) / (high - low))


def common_range(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Returns the costs that every curve reaches, or None if there is no such range."""
    low = max((curve[0][0] for curve in curves), default=0.0)
    high = min((curve[-1][0] for curve in curves), default=0.0)
    return (low, high) if low < high else None


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Returns, for each (cost, value), whether no other one is better.

    Another one is better if it costs no more and is worth no less, and one of the two
    strictly; equal points are on the front together.
    """
    dominates = lambda a, b: a != b and a[0] <= b[0] and a[1] >= b[1]
    return [not any(dominates(a, b) for a in points) for b in points]
