"""Every point of a method beside the best baseline that costs the same."""

import dataclasses
import statistics
from collections.abc import Collection, Mapping, Sequence

from dynsparse.reports.chance import Difference, holm, paired_difference
from dynsparse.reports.points import Point, by_method, curves
from dynsparse.reports.tradeoff import Curve, value_at


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A point against the best baseline at equal MACs.

    Attributes:
        baseline: Its method.
        difference: Accuracy of the point less that of the baseline, by seed.
        corrected_p: Of the difference, by Holm over all the verdicts of a report.
    """

    baseline: str
    difference: Difference
    corrected_p: float

    @property
    def word(self) -> str:
        """Returns better, worse or undecided: decided where the p is under 5 %."""
        if not self.corrected_p < 0.05:  # nan decides nothing
            return "undecided"
        return "better" if self.difference.mean > 0 else "worse"


def judge(points: Sequence[Point], baselines: Collection[str]) -> dict[Point, Verdict]:
    """Returns the verdict on each point of a method that is no baseline.

    Each seed's baseline is read at the MACs that the same seed of the point spends, by
    linear interpolation of that seed's curve, never beyond its ends. Of the baselines
    that most seeds of the point can be paired with, the best is the one of the highest
    mean accuracy there: chosen with hindsight, against the method.

    Args:
        points: Of all methods.
        baselines: Their methods.

    Returns:
        Verdicts by point; a point is absent where no baseline reaches its MACs.
    """
    rivals = {
        method: curves(found)
        for method, found in by_method(points).items()
        if method in baselines
    }
    found = {
        point: best
        for point in points
        if point.method not in baselines and (best := _best(point, rivals))
    }
    corrected = holm([difference.p for _, difference in found.values()])
    return {
        point: Verdict(baseline, difference, p)
        for (point, (baseline, difference)), p in zip(
            found.items(), corrected, strict=True
        )
    }


def _best(
    point: Point, rivals: Mapping[str, Mapping[int, Curve]]
) -> tuple[str, Difference] | None:
    values = {name: _at_equal_macs(point, seeds) for name, seeds in rivals.items()}
    values = {name: found for name, found in values.items() if found}
    if not values:
        return None
    worth = lambda name: (len(values[name]), statistics.fmean(values[name].values()))
    best = max(values, key=worth)
    return best, paired_difference(point.accuracy, values[best])


def _at_equal_macs(point: Point, rival: Mapping[int, Curve]) -> dict[int, float]:
    return {
        seed: value
        for seed, macs in point.macs.items()
        if seed in rival and (value := value_at(rival[seed], macs)) is not None
    }
