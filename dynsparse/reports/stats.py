"""Confidence intervals and paired tests over seeds, and the words for their outcome.

Student's distribution comes from `scipy.special`, which jax loads anyway: the import of
`scipy.stats` would cost every run a second.
"""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from scipy import special

SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
IN_PART = "supported in part"
ENOUGH_SEEDS = 5  # to answer a claim
FEW_SEEDS = f"fewer than {ENOUGH_SEEDS} seeds prove the pipeline and make no claim"
Place = TypeVar("Place")
BySeed = Mapping[int, float]


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean over seeds with Student's 95 % interval, and the t test against zero.

    Attributes:
        mean: Mean of the values.
        half: Half the width of the interval; nan for a single value.
        number: Number of values.
        p: Two-sided p value of the t test of a zero mean; nan for a single value.

    Example:
        >>> reports.mean_interval([1.0, 1.0])
        Interval(mean=1.0, half=0.0, number=2, p=0.0)
    """

    mean: float
    half: float
    number: int
    p: float


def mean_interval(values: Sequence[float]) -> Interval:
    """Returns the mean with Student's interval, mean ± t(0.975, n - 1) s / sqrt(n).

    Where all values are the same the test has nothing to divide by: its p is 1 if they
    are zero, else 0.

    Args:
        values: One per seed.

    Raises:
        ValueError: If there is none.

    Example:
        >>> found = reports.mean_interval([0.90, 0.92, 0.94])
        >>> f"{found.mean:.2f} ± {found.half:.2f}"
        '0.92 ± 0.05'
    """
    if not values:
        raise ValueError("a mean needs at least one value, got none.")
    mean, free = statistics.fmean(values), len(values) - 1
    if not free:
        return Interval(mean, math.nan, 1, math.nan)
    error = statistics.stdev(values) / math.sqrt(free + 1)
    if error:
        p = 2 * float(special.stdtr(free, -abs(mean) / error))
    else:
        p = 0.0 if mean else 1.0
    return Interval(mean, float(special.stdtrit(free, 0.975)) * error, free + 1, p)


def paired_difference(left: BySeed, right: BySeed) -> Interval:
    """Returns `left` minus `right`, paired by the seeds that both have.

    Seeds share their data and their order of batches, so the differences vary less than
    either side. `p` is that of the paired t test.

    Args:
        left: Values by seed.
        right: Values by seed.

    Raises:
        ValueError: If no seed has both.

    Example:
        >>> reports.paired_difference({0: 0.9, 1: 0.8}, {0: 0.4, 1: 0.3}).mean
        0.5
    """
    seeds = sorted(left.keys() & right.keys())
    if not seeds:
        raise ValueError(
            f"nothing to pair: seeds {sorted(left)} here and {sorted(right)} there."
        )
    return mean_interval([left[seed] - right[seed] for seed in seeds])


def paired_differences(
    pairs: Mapping[Place, tuple[BySeed, BySeed]],
) -> dict[Place, tuple[Interval, float]]:
    """Returns `paired_difference` at each place with its p, corrected by Holm.

    Args:
        pairs: Left and right values by seed, by place: one family of comparisons.

    Raises:
        ValueError: If no seed has both at a place.

    Example:
        >>> ones, zeros = {0: 1.0, 1: 1.0}, {0: 0.0, 1: 0.0}
        >>> gap, p = reports.paired_differences(dict(here=(ones, zeros)))["here"]
        >>> gap.mean, p
        (1.0, 0.0)
    """
    gaps = [paired_difference(*pair) for pair in pairs.values()]
    corrected = holm([gap.p for gap in gaps])
    return dict(zip(pairs, zip(gaps, corrected, strict=True), strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns `p_values` corrected for their number (Holm, 1979).

    The i-th smallest of m becomes the largest of (m - j + 1) p_j over j <= i, at most
    1: compared with 5 %, they keep the chance of even one false difference at 5 %.

    Args:
        p_values: One family of comparisons. A nan was not tested: it stays, and does
            not count.
    """
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    corrected, largest = list(p_values), 0.0
    for rank, i in enumerate(sorted(tested, key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def decide(
    mean: float, p: float, words: Sequence[str] = ("better", "worse", "undecided")
) -> str:
    """Returns one of `words`: mean above 0, below 0, or not decided at 5 %.

    Args:
        mean: Mean difference.
        p: Corrected p value; a nan decides nothing.
        words: For the three cases.
    """
    return words[2] if not p < 0.05 else words[mean <= 0]


def verdict(mean: float, p: float) -> str:
    """Returns what a difference says of the claim that it is above zero, at 5 %.

    Example:
        >>> reports.verdict(0.1, 0.01), reports.verdict(0.1, 0.2)
        ('supported', 'inconclusive')
    """
    return decide(mean, p, (SUPPORTED, CONTRADICTED, INCONCLUSIVE))


def judge_bound(gap: Interval, bound: float) -> str:
    """Returns what a difference says of the claim that it is above `bound`.

    Args:
        gap: Supports the claim where its whole interval is above the bound, and
            contradicts it where it is below.
        bound: Least difference.

    Example:
        >>> reports.judge_bound(reports.mean_interval([0.0, 0.001]), -0.1)
        'supported'
    """
    if gap.mean - gap.half > bound:
        return SUPPORTED
    return CONTRADICTED if gap.mean + gap.half < bound else INCONCLUSIVE


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


def over_seeds(
    rows: Sequence[Mapping[str, Any]], by: Sequence[str], of: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns a row of means for each combination of the values of `by`, in order.

    Args:
        rows: One per seed and combination.
        by: Columns that say what was measured.
        of: Columns of numbers.

    Returns:
        Rows with `by`, `seeds`, and NAME_mean and NAME_half for each of `of`.

    Example:
        >>> rows = [dict(gate="a", seed=seed, error=0.5) for seed in (0, 1)]
        >>> reports.over_seeds(rows, ["gate"], ["error"])
        [{'gate': 'a', 'seeds': 2, 'error_mean': 0.5, 'error_half': 0.0}]
    """
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in by), []).append(row)
    means: list[dict[str, Any]] = []
    for values, some in found.items():
        means.append(dict(zip(by, values, strict=True), seeds=len(some)))
        for name in of:
            interval = mean_interval([row[name] for row in some])
            means[-1] |= {f"{name}_mean": interval.mean, f"{name}_half": interval.half}
    return means


def by_seed(
    rows: Sequence[Mapping[str, Any]], name: str, **place: Any
) -> dict[int, Any]:
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
