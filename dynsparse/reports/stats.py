"""Intervals and paired tests over seeds, and the words for their outcome.

Student's distribution comes from `scipy.special`, which jax loads anyway: the import of
`scipy.stats` would cost every run a second.
"""

import dataclasses
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from scipy import special

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
IN_PART = "supported in part"
ENOUGH_SEEDS = 5  # to answer a claim
FEW_SEEDS = f"fewer than {ENOUGH_SEEDS} seeds prove the pipeline and make no claim"

Place = TypeVar("Place")
Item = TypeVar("Item")
Row = Mapping[str, Any]
BySeed = Mapping[int, float]


@dataclasses.dataclass(frozen=True)
class Interval:
    """Mean over seeds with Student's 95 % interval, and the t test against zero.

    It is written as `mean ± half`, and a number times it is an interval again.

    Attributes:
        mean: Mean of the values.
        half: Half the width of the interval; nan for a single value.
        number: Number of values.
        p: Two-sided p value of the t test of a zero mean; nan for a single value.
        corrected_p: p corrected for the other comparisons of its family.

    Example:
        >>> gap = reports.Interval(0.1, half=0.05, number=3, p=0.01, corrected_p=0.02)
        >>> f"{100 * gap:+.1f}, {gap.verdict()}"
        '+10.0 ± 5.0, supported'
    """

    mean: float
    half: float
    number: int
    p: float
    corrected_p: float

    def __format__(self, form: str) -> str:
        half = "" if math.isnan(self.half) else f" ± {self.half:{form.lstrip('+')}}"
        return f"{self.mean:{form}}{half}"

    def __rmul__(self, factor: int | float) -> "Interval":
        mean, half = factor * self.mean, abs(factor) * self.half
        return dataclasses.replace(self, mean=mean, half=half)

    @property
    def p_in_words(self) -> str:
        """Corrected p with three digits, or that there was only one seed."""
        if math.isnan(self.corrected_p):
            return "one seed"
        return "< 0.001" if self.corrected_p < 0.001 else f"{self.corrected_p:.3f}"

    def verdict(
        self, words: Sequence[str] = (SUPPORTED, CONTRADICTED, INCONCLUSIVE)
    ) -> str:
        """Returns one of `words`: mean above 0, below 0, or not decided at 5 %."""
        return words[self.mean <= 0] if self.corrected_p < 0.05 else words[2]

    def beside(self, bound: float) -> str:
        """Returns what the interval says of the claim that the mean is above `bound`.

        It supports the claim where the whole interval is above the bound, and
        contradicts it where it is below.
        """
        if self.mean - self.half > bound:
            return SUPPORTED
        return CONTRADICTED if self.mean + self.half < bound else INCONCLUSIVE


def mean_interval(values: Sequence[float]) -> Interval:
    """Returns the mean with Student's interval, mean ± t(0.975, n - 1) s / sqrt(n).

    Where all values are the same the test has nothing to divide by: its p is 1 if they
    are zero, else 0.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("a mean needs at least one value, got none.")
    mean, free = statistics.fmean(values), len(values) - 1
    if not free:
        return Interval(mean, math.nan, 1, math.nan, math.nan)
    error = statistics.stdev(values) / math.sqrt(free + 1)
    if error:
        p = 2 * float(special.stdtr(free, -abs(mean) / error))
    else:
        p = 0.0 if mean else 1.0
    half = float(special.stdtrit(free, 0.975)) * error
    return Interval(mean, half, free + 1, p, p)


def paired_differences(
    pairs: Mapping[Place, tuple[BySeed, BySeed]],
) -> dict[Place, Interval]:
    """Returns left minus right at each place, paired by the seeds that both have.

    Seeds share their data and their order of batches, so the differences vary less than
    either side. `p` is that of the paired t test, `corrected_p` that by Holm.

    Args:
        pairs: Left and right values by seed, by place: one family of comparisons.

    Raises:
        ValueError: If no seed has both at a place.

    Example:
        >>> pairs = dict(here=({0: 1.0, 1: 1.0}, {0: 0.5, 1: 0.5}))
        >>> reports.paired_differences(pairs)["here"].verdict()
        'supported'
    """
    gaps = {}
    for place, (left, right) in pairs.items():
        seeds = sorted(left.keys() & right.keys())
        if not seeds:
            told = f"seeds {sorted(left)} here and {sorted(right)} there"
            raise ValueError(f"nothing to pair: {told}.")
        gaps[place] = mean_interval([left[seed] - right[seed] for seed in seeds])
    corrected = holm([gap.p for gap in gaps.values()])
    return {
        place: dataclasses.replace(gap, corrected_p=p)
        for (place, gap), p in zip(gaps.items(), corrected, strict=True)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns `p_values` corrected for their number (Holm, 1979).

    The i-th smallest of m becomes the largest of (m - j + 1) p_j over j <= i, at most
    1: compared with 5 %, they keep the chance of even one false difference at 5 %. A
    nan was not tested: it stays, and does not count.
    """
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    corrected, largest = list(p_values), 0.0
    for rank, i in enumerate(sorted(tested, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def answer(verdicts: Sequence[str | bool], of: str, *, seeds: int | None = None) -> str:
    """Returns the answer to a claim that is made for every one of several places.

    Args:
        verdicts: One per place: "supported" or True, "contradicted" or False,
            "inconclusive", or "supported in part". One contradiction contradicts the
            claim, and only support at every place supports it.
        of: What the places are, in the plural.
        seeds: Number of seeds, too few of which answer nothing; None for a claim that
            no seed decides.

    Example:
        >>> reports.answer(["supported", "inconclusive"], "gates")
        '**Inconclusive**: supported for 1 of 2 gates, contradicted for 0, ...
    """
    if seeds is not None and seeds < ENOUGH_SEEDS:
        return f"**{INCONCLUSIVE.capitalize()}**: {FEW_SEEDS}."
    words: Mapping[Any, str] = {True: SUPPORTED, False: CONTRADICTED}
    said = [words.get(one, str(one)) for one in verdicts]
    if not said:
        return f"**{INCONCLUSIVE.capitalize()}**: there is nothing to judge."
    overall = SUPPORTED if {*said} == {SUPPORTED} else INCONCLUSIVE
    overall = CONTRADICTED if CONTRADICTED in said else overall
    order = (SUPPORTED, *[IN_PART] * (IN_PART in said), CONTRADICTED, INCONCLUSIVE)
    first, *others = [f"{word} for {said.count(word)}" for word in order]
    places = ", ".join([f"{first} of {len(said)} {of}", *others])
    return f"**{overall.capitalize()}**: {places}."


def grouped(
    items: Iterable[Item], key: Callable[[Item], Place]
) -> dict[Place, list[Item]]:
    """Returns the items by what `key` gives of them, all in their first order.

    Example:
        >>> reports.grouped([1, 3, 2], lambda number: number % 2)
        {1: [1, 3], 0: [2]}
    """
    found: dict[Place, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def over_seeds(
    rows: Sequence[Row], by: Sequence[str], of: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns a row for each combination of the columns `by`, in order.

    It has these columns, the number of `seeds`, and the mean of each column of `of`.
    """
    places = grouped(rows, lambda row: tuple(row[key] for key in by))
    return [
        dict(zip(by, place, strict=True), seeds=len(some))
        | {name: mean_interval([row[name] for row in some]) for name in of}
        for place, some in places.items()
    ]


def by_seed(rows: Sequence[Row], name: str, **place: Any) -> dict[int, Any]:
    """Returns one column of the rows at a place, by seed.

    Args:
        rows: With a `seed` each, one per seed at that place.
        name: Column.
        **place: Values of other columns.

    Example:
        >>> reports.by_seed([dict(seed=3, gate="a", error=0.1)], "error", gate="a")
        {3: 0.1}
    """
    here = [row for row in rows if place.items() <= row.items()]
    return {row["seed"]: row[name] for row in here}
