"""Accuracy against cost: points of a sweep, curves through them, and their areas."""

import dataclasses
import statistics
from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from dynsparse.reports import runs, stats, tables
from dynsparse.reports.stats import BySeed, Interval
from dynsparse.reports.tables import Row

DENSE = "dense"  # the method that runs the largest network of a sweep in full
REACH = 0.01  # of the dense MACs: costs no further apart than that are equal
COSTS = dict(macs="FLOPs", time="time of a batch")

Cost = Literal["macs", "time"]
Curve = Sequence[tuple[float, float]]  # (cost, value), by ascending cost, none twice


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One point of a method's curve: of one setting, at one rank, in every seed.

    Attributes:
        method: Name of the method.
        setting: What the trials of this point share, such as a target.
        rank: Place in the curve of a trial, 0 for the most expensive.
        macs: By seed, as a fraction of the MACs of the dense network.
        accuracy: By seed, in [0, 1].
        time: By seed, as a fraction of the time of the dense network.
        smaller: Whether it is a smaller network than the dense one, run in full.
        busy: Seeds in which the machine was too busy for `time` to be quoted.
    """

    method: str
    setting: str
    rank: int
    macs: BySeed
    accuracy: BySeed
    time: BySeed
    smaller: bool
    busy: frozenset[int] = frozenset()

    @property
    def mean_macs(self) -> float:
        """Mean of `macs` over the seeds."""
        return statistics.fmean(self.macs.values())


def read_points(rows: Sequence[Row]) -> list[Point]:
    """Returns the points of a sweep, methods in order, each from dense to sparse.

    The dense network is the largest one of the sweep. A narrower dense network knows
    only its own MACs and its own time as dense; here both are fractions of what the
    largest takes, its time being the median over the rows that ran beside it.

    Args:
        rows: One per trial and point: `method`, `setting`, `seed`, and the fields of
            curve.csv.

    Raises:
        ValueError: If there are no rows, or if two trials of one method and setting
            have the same seed.

    Example:
        >>> row = dict(method="soft_topk", setting="any", seed=0, accuracy=0.9)
        >>> row |= dict(macs_mean=1e6, macs_dense=4e6)
        >>> row |= dict(latency_ms=1.0, latency_dense_ms=2.0)
        >>> (point,) = reports.read_points([row])
        >>> point.macs, point.time
        ({0: 0.25}, {0: 0.5})
    """
    if not rows:
        raise ValueError("a comparison needs at least one finished trial, got none.")
    trials: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        place = row["method"], str(row["setting"]), row["seed"]
        trials.setdefault(place, []).append(row)
        first, second = trials[place][0].get("trial"), row.get("trial")
        if first != second:
            raise ValueError(
                "two trials of {}, {} have seed {}: ".format(*place)
                + f"{first} and {second}; give what differs a method or a setting of "
                "its own."
            )
    by_rank: dict[tuple[str, str, int], dict[int, Row]] = {}
    for (method, setting, seed), trial in trials.items():
        for rank, row in enumerate(sorted(trial, key=lambda row: -row["macs_mean"])):
            by_rank.setdefault((method, setting, rank), {})[seed] = row
    dense = max(row["macs_dense"] for row in rows)
    dense_ms = statistics.median(
        row["latency_dense_ms"] for row in rows if row["macs_dense"] == dense
    )
    own = lambda row: row["macs_dense"] == dense
    time = lambda row: (
        runs.time_ratio(row) if own(row) else row["latency_ms"] / dense_ms
    )
    points = [
        Point(
            *place,
            macs={seed: row["macs_mean"] / dense for seed, row in seeds.items()},
            accuracy={seed: row["accuracy"] for seed, row in seeds.items()},
            time={seed: time(row) for seed, row in seeds.items()},
            smaller=all(
                row["macs_mean"] == row["macs_dense"] < dense for row in seeds.values()
            ),
            busy=frozenset(seed for seed, row in seeds.items() if runs.is_busy([row])),
        )
        for place, seeds in by_rank.items()
    ]
    methods = list(by_method(points))
    return sorted(points, key=lambda p: (methods.index(p.method), -p.mean_macs))


def by_method(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Returns the points of each method, in their order."""
    methods: dict[str, list[Point]] = {}
    for point in points:
        methods.setdefault(point.method, []).append(point)
    return methods


def curves(points: Sequence[Point], cost: Cost = "macs") -> dict[str, dict[int, Curve]]:
    """Returns the curve of each method in each of its seeds.

    The settings of a method are points of one curve, as those of a penalised gate with
    one run per target are; arms that are no such points need names of their own. A
    smaller dense network is one of a family that ends with the dense network itself:
    where the sweep holds that in the same seed, it is the last point of the curve.
    Points of one cost are one, with the mean of their values.

    Args:
        points: Points of all methods.
        cost: Horizontal axis.
    """
    methods, found = by_method(points), {}
    for method, some in methods.items():
        smaller = all(point.smaller for point in some)
        ends = methods.get(DENSE, []) if smaller else []
        found[method] = {
            seed: _through(
                (getattr(point, cost)[seed], point.accuracy[seed])
                for point in [*some, *ends]
                if seed in point.accuracy
            )
            for seed in sorted({seed for point in some for seed in point.accuracy})
        }
    return found


def value_at(curve: Curve, cost: float) -> float | None:
    """Returns the value of a curve at a cost, by linear interpolation.

    A curve is never extrapolated: beyond its ends it has no value (None), except within
    `REACH` of one, whose value it has there.
    """
    costs, values = zip(*curve, strict=True)
    if not costs[0] - REACH <= cost <= costs[-1] + REACH:
        return None
    return float(np.interp(cost, costs, values))


def area(curve: Curve, low: float, high: float) -> float:
    """Returns the normalised area under a curve: its mean value from `low` to `high`.

    The trapezoid rule over the points inside the range and its two ends, divided by
    high - low: a constant curve has the area of its constant, whatever the range.

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


def common_range(curves: Collection[Curve]) -> tuple[float, float] | None:
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


def areas_by_method(
    points: Sequence[Point], cost: Cost = "macs"
) -> tuple[tuple[float, float], dict[str, Interval]] | None:
    """Returns the costs that all methods reach and the area of each over them, in %.

    A method without a curve in each of its seeds, such as the dense network alone, is
    left out. None if no range of costs is common to the others.

    Args:
        points: Points of all methods.
        cost: Horizontal axis; MACs and FLOPs have the same areas.
    """
    found = {
        method: list(seeds.values())
        for method, seeds in curves(points, cost).items()
        if min(map(len, seeds.values())) > 1
    }
    over = common_range([curve for some in found.values() for curve in some])
    if over is None:
        return None
    return over, {
        method: stats.mean_interval([100 * area(curve, *over) for curve in some])
        for method, some in found.items()
    }


def differences_of_areas(
    points: Sequence[Point], reference: str, others: Collection[str], cost: Cost
) -> dict[str, tuple[tuple[float, float], Interval, float]]:
    """Returns the costs that two methods reach, the difference of areas, and its p.

    Each pair is compared over the costs that both reach, so that a third one need not
    reach them: the difference of their areas, paired by seed. p is corrected by Holm
    over the others; those with nothing in common are left out.

    Args:
        points: Points of all methods.
        reference: The method that is compared.
        others: What it is compared with.
        cost: Horizontal axis.

    Example:
        >>> reports.differences_of_areas([], "soft_topk", ["static"], "macs")
        {}
    """
    every, ranges, pairs = curves(points, cost), {}, {}
    for other in others:
        two = every.get(reference, {}), every.get(other, {})
        seeds = sorted(two[0].keys() & two[1].keys())
        over = common_range([some[seed] for some in two for seed in seeds])
        if over is not None:
            ranges[other] = over
            mine, its = ({s: area(some[s], *over) for s in seeds} for some in two)
            pairs[other] = mine, its
    found = stats.paired_differences(pairs)
    return {other: (ranges[other], *found[other]) for other in pairs}


def area_differences(
    points: Sequence[Point],
    reference: str,
    others: Collection[str],
    cost: Cost = "macs",
) -> list[str]:
    """Returns, in words, whether the curve of one method lies above each other one.

    Args:
        points: As of `differences_of_areas`, and so are the others.
        reference: The method that is compared.
        others: What it is compared with.
        cost: Horizontal axis.

    Example:
        >>> reports.area_differences([], "soft_topk", ["static"])[1]
        '- against static: nothing in common'
    """
    found = differences_of_areas(points, reference, others, cost)
    lines = [
        f"- against {other} over {low:.3f} to {high:.3f}: {stats.decide(gap.mean, p)}, "
        f"{tables.with_half(100 * gap.mean, 100 * gap.half, '+.2f')} points (p by "
        f"Holm: {tables.p_in_words(p)})"
        for other, ((low, high), gap, p) in found.items()
    ]
    lines += [f"- against {o}: nothing in common" for o in others if o not in found]
    return [
        f"{reference}, mean accuracy minus that of each other method over the "
        f"{COSTS[cost]} that both reach, as a fraction of the dense network, paired by "
        "seed:",
        "\n".join(lines),
    ]


def _through(points) -> Curve:
    """The curve through (cost, value) pairs in any order."""
    values: dict[float, list[float]] = {}
    for cost, value in sorted(points):
        values.setdefault(cost, []).append(value)
    return [(cost, sum(found) / len(found)) for cost, found in values.items()]
