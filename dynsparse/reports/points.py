"""The rows of a sweep, by method, point and seed."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from dynsparse.reports.curve import is_busy, time_ratio
from dynsparse.reports.tradeoff import Curve, curve_through

DENSE = "dense"  # the method that runs the largest network of a sweep in full

BySeed = Mapping[int, float]
Cost = Literal["macs", "time"]


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """One point of a method's curve: of one setting, at one rank, in every seed.

    Attributes:
        method: Its name.
        setting: What the trials of this point share, such as a target.
        rank: Place in the curve of a trial, 0 for the dearest.
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
        """Over the seeds."""
        return statistics.fmean(self.macs.values())


def read_points(rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Returns the points of a sweep, methods in order, each from dear to cheap.

    The dense network is the largest one of the sweep. A narrower dense network knows
    only its own MACs and its own time as dense; here both are fractions of what the
    largest takes, its time being the median over the rows that ran beside it.

    Args:
        rows: One per trial and point: `method`, `setting`, `seed`, and the fields of
            curve.csv.

    Raises:
        ValueError: If there are no rows, or if two trials of one method and setting
            have the same seed.
    """
    if not rows:
        raise ValueError("a comparison needs at least one finished trial, got none.")
    dense_macs = max(row["macs_dense"] for row in rows)
    dense_ms = statistics.median(
        row["latency_dense_ms"] for row in rows if row["macs_dense"] == dense_macs
    )
    found: dict[tuple[str, str, int], dict[int, Mapping[str, Any]]] = {}
    for trial in _trials(rows):
        for rank, row in enumerate(sorted(trial, key=lambda row: -row["macs_mean"])):
            place = (row["method"], str(row["setting"]), rank)
            found.setdefault(place, {})[row["seed"]] = row
    time = lambda row: (
        time_ratio(row)
        if row["macs_dense"] == dense_macs
        else row["latency_ms"] / dense_ms
    )
    points = [
        Point(
            *place,
            macs={seed: row["macs_mean"] / dense_macs for seed, row in seeds.items()},
            accuracy={seed: row["accuracy"] for seed, row in seeds.items()},
            time={seed: time(row) for seed, row in seeds.items()},
            smaller=all(
                row["macs_mean"] == row["macs_dense"] < dense_macs
                for row in seeds.values()
            ),
            busy=frozenset(seed for seed, row in seeds.items() if is_busy([row])),
        )
        for place, seeds in found.items()
    ]
    methods = list(dict.fromkeys(point.method for point in points))
    return sorted(points, key=lambda p: (methods.index(p.method), -p.mean_macs))


def curves(points: Sequence[Point], cost: Cost = "macs") -> dict[str, dict[int, Curve]]:
    """Returns the curve of each method in each of its seeds.

    The settings of a method are points of one curve, as those of a penalised gate with
    one run per target are; arms that are no such points need names of their own. A
    smaller dense network is one of a family that ends with the dense network itself:
    where the sweep holds that in the same seed, it is the last point of the curve.

    Args:
        points: Of all methods.
        cost: What accuracy is against.
    """
    methods = by_method(points)
    ends = _pairs(methods.get(DENSE, ()), cost)
    found: dict[str, dict[int, Curve]] = {}
    for method, some in methods.items():
        last = ends if all(point.smaller for point in some) else {}
        found[method] = {
            seed: curve_through([*pairs, *last.get(seed, ())])
            for seed, pairs in sorted(_pairs(some, cost).items())
        }
    return found


def by_method(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Returns the points of each method, in their order."""
    methods: dict[str, list[Point]] = {}
    for point in points:
        methods.setdefault(point.method, []).append(point)
    return methods


def _pairs(points: Sequence[Point], cost: Cost) -> dict[int, list[tuple[float, float]]]:
    """Cost and accuracy of each point, by seed."""
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        costs = point.macs if cost == "macs" else point.time
        for seed, accuracy in point.accuracy.items():
            by_seed.setdefault(seed, []).append((costs[seed], accuracy))
    return by_seed


def _trials(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    trials: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    folders: dict[tuple[str, str, int], Any] = {}
    for row in rows:
        place = (row["method"], str(row["setting"]), row["seed"])
        trial = row.get("trial")
        if folders.setdefault(place, trial) != trial:
            method, setting, seed = place
            raise ValueError(
                f"two trials of {method}, {setting} have seed {seed}: {folders[place]} "
                f"and {trial}; give what differs a method or a setting of its own."
            )
        trials.setdefault(place, []).append(row)
    return list(trials.values())
