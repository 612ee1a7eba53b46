"""Every point of a method beside the best baseline that costs the same."""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence

from dynsparse.reports.chance import Difference, decide, paired_differences
from dynsparse.reports.points import DENSE, BySeed, Point, by_method, curves
from dynsparse.reports.tradeoff import Curve, value_at


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A point against the best baseline at equal MACs.

    Attributes:
        baseline: Its method.
        difference: Accuracy of the point less that of the baseline, by seed.
        corrected_p: Of the difference, by Holm over the points of its method.
        absent: Baselines of the sweep that lack these MACs in a seed of the point, and
            that it was not compared with; never the dense network, which is one point.
    """

    baseline: str
    difference: Difference
    corrected_p: float
    absent: Sequence[str]

    @property
    def word(self) -> str:
        """Returns better, worse or undecided."""
        return decide(self.difference.mean, self.corrected_p)


def judge(points: Sequence[Point], baselines: Collection[str]) -> dict[Point, Verdict]:
    """Returns the verdict on each point of a method that is no baseline.

    Each seed's baseline is read at the MACs that the same seed of the point spends, by
    linear interpolation of that seed's curve, never beyond its ends. Of the baselines
    that have a value in every seed of the point, the best is the one of the highest
    mean accuracy there: chosen with hindsight, against the method. Each method is a
    question of its own: p is corrected over its points, not over those of others.

    Args:
        points: Of all methods.
        baselines: Their methods.

    Returns:
        Verdicts by point; a point is absent where no baseline has its MACs.
    """
    rivals = {
        name: seeds for name, seeds in curves(points).items() if name in baselines
    }
    verdicts: dict[Point, Verdict] = {}
    for method, found in by_method(points).items():
        if method not in baselines:
            verdicts |= _judge_method(found, rivals)
    return verdicts


def _judge_method(
    points: Sequence[Point], rivals: Mapping[str, Mapping[int, Curve]]
) -> dict[Point, Verdict]:
    read = {point: _at_equal_macs(point, rivals) for point in points}
    best = {point: _most_accurate(values) for point, values in read.items() if values}
    differences = paired_differences(
        {point: (point.accuracy, read[point][name]) for point, name in best.items()}
    )
    absent = lambda point: [n for n in rivals if n not in read[point] and n != DENSE]
    return {
        point: Verdict(best[point], difference, p, absent(point))
        for point, (difference, p) in differences.items()
    }


def _at_equal_macs(
    point: Point, rivals: Mapping[str, Mapping[int, Curve]]
) -> dict[str, BySeed]:
    """Accuracy by seed of the baselines that have one in every seed of the point."""
    found: dict[str, BySeed] = {}
    for name, seeds in rivals.items():
        values = {
            seed: value
            for seed, macs in point.macs.items()
            if seed in seeds and (value := value_at(seeds[seed], macs)) is not None
        }
        if len(values) == len(point.macs):
            found[name] = values
    return found


def _most_accurate(values: Mapping[str, BySeed]) -> str:
    return max(values, key=lambda name: statistics.fmean(values[name].values()))
