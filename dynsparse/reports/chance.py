"""What is chance and what is not, over the seeds of an experiment.

Student's distribution comes from `scipy.special`: scipy is there wherever jax is.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TypeVar

from scipy import special

CONFIDENCE = 0.95
Place = TypeVar("Place")


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over seeds, and where it is with a confidence of 95 %.

    Attributes:
        mean: Of the values.
        half: Half the width of Student's interval around it; nan for a single value.
        number: Of values.
    """

    mean: float
    half: float
    number: int


@dataclasses.dataclass(frozen=True)
class Difference(Interval):
    """The mean of paired differences, its interval, and whether it is chance.

    Attributes:
        p: Of the two-sided paired t test: how likely differences so far from zero are
            where there is none; nan for a single pair.
    """

    p: float


def mean_interval(values: Sequence[float]) -> Interval:
    """Returns the mean with Student's interval, mean ± t(0.975, n - 1) s / sqrt(n).

    Args:
        values: One per seed.

    Raises:
        ValueError: If there is none.
    """
    if not values:
        raise ValueError("a mean needs at least one value, got none.")
    number = len(values)
    mean = statistics.fmean(values)
    if number == 1:
        return Interval(mean, math.nan, 1)
    quantile = float(special.stdtrit(number - 1, 0.5 + CONFIDENCE / 2))
    return Interval(mean, quantile * _standard_error(values), number)


def paired_difference(
    left: Mapping[int, float], right: Mapping[int, float]
) -> Difference:
    """Returns `left` less `right`, paired by the seeds that both have.

    Seeds share their data and their order of batches, so the differences vary less than
    either side. Where all differences are the same the test has nothing to divide by:
    p is 1 if they are zero, else 0.

    Args:
        left: Values by seed.
        right: Values by seed.

    Raises:
        ValueError: If no seed has both.
    """
    seeds = sorted(left.keys() & right.keys())
    if not seeds:
        raise ValueError(
            f"nothing to pair: seeds {sorted(left)} here and {sorted(right)} there."
        )
    gaps = [left[seed] - right[seed] for seed in seeds]
    interval = mean_interval(gaps)
    if interval.number == 1:
        p = math.nan
    elif error := _standard_error(gaps):
        t = abs(interval.mean) / error
        p = 2 * float(special.stdtr(interval.number - 1, -t))
    else:
        p = 0.0 if interval.mean else 1.0
    return Difference(interval.mean, interval.half, interval.number, p)


def paired_differences(
    pairs: Mapping[Place, tuple[Mapping[int, float], Mapping[int, float]]],
) -> dict[Place, tuple[Difference, float]]:
    """Returns what `paired_difference` finds at each place, and its p corrected.

    Args:
        pairs: Left and right values by seed, by place: one family of comparisons, over
            which p is corrected by Holm.

    Raises:
        ValueError: If no seed has both at a place.
    """
    gaps = [paired_difference(*pair) for pair in pairs.values()]
    corrected = holm([gap.p for gap in gaps])
    return dict(zip(pairs, zip(gaps, corrected, strict=True), strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns `p_values` corrected for their number (Holm, 1979).

    The i-th smallest of m becomes the largest of (m - j + 1) p_j over j <= i, at most
    1: compared with 5 %, they keep the chance of even one false difference at 5 %.

    Args:
        p_values: Of one family of comparisons. A nan was not tested: it stays, and does
            not count.
    """
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    corrected, largest = list(p_values), 0.0
    for rank, i in enumerate(sorted(tested, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def decide(mean: float, p: float) -> str:
    """Returns better, worse or undecided: decided where `p` is under 5 %.

    Args:
        mean: Of the differences.
        p: Of them, corrected; a nan decides nothing.
    """
    if not p < 0.05:
        return "undecided"
    return "better" if mean > 0 else "worse"


def p_in_words(p: float) -> str:
    """Returns `p` with three digits, or that there was but one seed."""
    if math.isnan(p):
        return "one seed"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))
