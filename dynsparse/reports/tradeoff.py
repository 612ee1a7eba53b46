"""Accuracy against cost: points of a sweep, curves through them, and their areas."""

import statistics
from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from dynsparse.reports import runs, stats
from dynsparse.reports.figures import DENSE
from dynsparse.reports.metric import Metric
from dynsparse.reports.stats import Interval, Row, grouped

REACH = 0.01  # of the dense MACs: costs no further apart than that are equal
_COSTS = dict(macs="FLOPs", time="time of a batch")
_OUTCOMES = ("better", "worse", "undecided")

Cost = Literal["macs", "time"]
Curve = Sequence[tuple[float, float]]  # (cost, value), by ascending cost, none twice


def read_points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns the points of a sweep on the scale of its dense network.

    The dense network is the largest one of the sweep. A narrower dense network knows
    only its own MACs and its own time as dense; here both are fractions of what the
    largest takes, its time being the median over the rows that ran beside it.

    Args:
        rows: One per trial and point: `method`, `setting`, `seed`, and the fields of
            curve.csv; `metric`, its name and unit, where it is not an accuracy.

    Returns:
        Rows of `method`, `setting`, `rank` (the place in the curve of the trial, 0 for
        the most expensive), `seed`, `macs` and `time` as fractions, `accuracy` in
        [0, 1], `smaller` (whether it is a smaller network than the dense one, run in
        full), and `busy` (whether the machine was too busy for `time` to be quoted).

    Raises:
        ValueError: If there are no rows, if two trials of one method and setting have
            the same seed, or if runs are judged by something else than an accuracy.

    Example:
        >>> row = dict(method="soft_topk", setting="any", seed=0, score=0.9)
        >>> row |= dict(macs_mean=1e6, macs_dense=4e6)
        >>> row |= dict(latency_ms=1.0, latency_dense_ms=2.0)
        >>> (point,) = reports.read_points([row])
        >>> point["macs"], point["time"]
        (0.25, 0.5)
    """
    if not rows:
        raise ValueError("a comparison needs at least one finished trial, got none.")
    others = {row["metric"] for row in rows if "metric" in row} - {Metric().label}
    if others:
        raise ValueError(
            f"a comparison needs runs that are judged by {Metric().label}, got "
            f"{', '.join(sorted(others))}; `compare` shows such runs side by side."
        )
    dense = max(row["macs_dense"] for row in rows)
    dense_ms = statistics.median(
        row["latency_dense_ms"] for row in rows if row["macs_dense"] == dense
    )
    points: list[dict[str, Any]] = []
    trials = grouped(rows, itemgetter("method", "setting", "seed"))
    for (method, setting, seed), trial in trials.items():
        named = list(dict.fromkeys(str(row.get("trial")) for row in trial))
        if len(named) > 1:
            raise ValueError(
                f"two trials of {method}, {setting} have seed {seed}: "
                f"{' and '.join(named)}; give what differs a method or a setting of "
                "its own."
            )
        by_cost = sorted(trial, key=lambda row: -row["macs_mean"])
        points += [
            dict(
                method=method,
                setting=str(setting),
                rank=rank,
                seed=seed,
                macs=row["macs_mean"] / dense,
                accuracy=row["score"],
                time=runs.time_ratio(row)
                if row["macs_dense"] == dense
                else row["latency_ms"] / dense_ms,
                smaller=row["macs_mean"] == row["macs_dense"] < dense,
                busy=runs.is_busy([row]),
            )
            for rank, row in enumerate(by_cost)
        ]
    return points


def means(points: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns the means over seeds of the points of a method, from dense to sparse."""
    found = stats.over_seeds(
        points, ("method", "setting", "rank"), ("macs", "accuracy", "time")
    )
    return sorted(found, key=lambda row: -row["macs"].mean)


def curves(points: Sequence[Row], cost: Cost = "macs") -> dict[str, dict[int, Curve]]:
    """Returns the curve of each method in each of its seeds.

    The settings of a method are points of one curve, as those of a penalised gate with
    one run per target are; arms that are no such points need names of their own. A
    smaller dense network is one of a family that ends with the dense network itself:
    where the sweep holds that in the same seed, it is the last point of the curve.
    Points of one cost are one, with the mean of their values.
    """
    methods = grouped(points, itemgetter("method"))
    found: dict[str, dict[int, Curve]] = {}
    for method, some in methods.items():
        smaller = all(point["smaller"] for point in some)
        ends = methods.get(DENSE, []) if smaller else []
        found[method] = {}
        for seed, own in sorted(grouped(some, itemgetter("seed")).items()):
            own += [point for point in ends if point["seed"] == seed]
            at = grouped(sorted(own, key=itemgetter(cost)), itemgetter(cost))
            found[method][seed] = [
                (place, statistics.fmean(point["accuracy"] for point in same))
                for place, same in at.items()
            ]
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


def common_range(curves: Iterable[Curve]) -> tuple[float, float] | None:
    """Returns the costs that every curve reaches, or None if there is no such range."""
    ends = [(curve[0][0], curve[-1][0]) for curve in curves]
    low = max((first for first, _ in ends), default=0.0)
    high = min((last for _, last in ends), default=0.0)
    return (low, high) if low < high else None


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Returns, for each (cost, value), whether no other one is better.

    Another one is better if it costs no more and is worth no less, and one of the two
    strictly; equal points are on the front together.
    """
    dominates = lambda a, b: a != b and a[0] <= b[0] and a[1] >= b[1]
    return [not any(dominates(a, b) for a in points) for b in points]


def areas_by_method(
    points: Sequence[Row],
) -> tuple[tuple[float, float], dict[str, Interval]] | None:
    """Returns the MACs that all methods reach, and the area of each over them.

    A method without a curve in each of its seeds, such as the dense network alone, is
    left out. None if no range of MACs is common to the others.
    """
    found = {
        method: list(seeds.values())
        for method, seeds in curves(points).items()
        if min(map(len, seeds.values())) > 1
    }
    over = common_range(curve for some in found.values() for curve in some)
    if over is None:
        return None
    return over, {
        method: stats.mean_interval([area(curve, *over) for curve in some])
        for method, some in found.items()
    }


def area_differences(
    points: Sequence[Row],
    reference: str,
    others: Collection[str],
    cost: Cost = "macs",
) -> tuple[list[str], list[str]]:
    """Returns, in words, whether the curve of one method lies above each other one.

    Each pair is compared over the costs that both reach, so that a third one need not
    reach them: the difference of their areas, paired by seed. p is corrected by Holm
    over the others.

    Args:
        points: As `read_points` returns them.
        reference: The method that is compared.
        others: What it is compared with.
        cost: Horizontal axis.

    Returns:
        Paragraphs, and the verdicts on those that have something in common.

    Example:
        >>> paragraphs, verdicts = reports.area_differences([], "soft_topk", ["static"])
        >>> paragraphs[1]
        '- against static: nothing in common'
    """
    every = curves(points, cost)
    mine, ranges, pairs = every.get(reference, {}), {}, {}
    for other in others:
        its = every.get(other, {})
        seeds = sorted(mine.keys() & its.keys())
        over = common_range(some[seed] for some in (mine, its) for seed in seeds)
        if over is not None:
            ranges[other] = over
            pairs[other] = tuple(
                {seed: area(some[seed], *over) for seed in seeds}
                for some in (mine, its)
            )
    found = stats.paired_differences(pairs)
    lines = [
        "- against {} over {:.3f} to {:.3f}: ".format(other, *ranges[other])
        + f"{gap.verdict(_OUTCOMES)}, {100 * gap:+.2f} points (p by Holm: "
        f"{gap.p_in_words})"
        for other, gap in found.items()
    ]
    lines += [f"- against {o}: nothing in common" for o in others if o not in found]
    head = (
        f"{reference}, mean accuracy minus that of each other method over the "
        f"{_COSTS[cost]} that both reach, as a fraction of the dense network, paired "
        "by seed:"
    )
    return [head, "\n".join(lines)], [gap.verdict() for gap in found.values()]
