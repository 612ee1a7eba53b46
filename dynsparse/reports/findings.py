"""The findings of a comparison of methods, in words."""

import dataclasses
from collections.abc import Mapping, Sequence

from dynsparse.reports import runs, stats, tables, tradeoff
from dynsparse.reports.stats import Interval
from dynsparse.reports.tables import Row
from dynsparse.reports.tradeoff import Cost, Point

_WORDS = ("better", "worse", "undecided")
_BEATS = (
    "More accurate than the best baseline at equal MACs, where it saves some (places "
    "are MACs / dense MACs):"
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A point against the best baseline at equal MACs.

    Attributes:
        baseline: Method of the baseline.
        difference: Accuracy of the point minus that of the baseline, by seed.
        corrected_p: p of the difference, by Holm over the points of its method.
        absent: Baselines of the sweep that lack these MACs in a seed of the point, and
            that it was not compared with; never the dense network, which is one point.
    """

    baseline: str
    difference: Interval
    corrected_p: float
    absent: Sequence[str]

    @property
    def word(self) -> str:
        """Whether the point is better, worse or undecided."""
        return stats.decide(self.difference.mean, self.corrected_p, _WORDS)


Verdicts = Mapping[Point, Verdict]


def findings(
    points: Sequence[Point], verdicts: Verdicts, baselines: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Returns the answer of a comparison, and the paragraphs below it.

    They say where each method beats the best baseline, which baseline is missing, the
    areas under the curves, and how the table is to be read.

    Args:
        points: Points of all methods.
        verdicts: On the points that a baseline could be compared with.
        baselines: Method to its name in words.
    """
    methods = tradeoff.by_method(points)
    judged = {m: _judge(p, verdicts) for m, p in methods.items() if m not in baselines}
    words = [word for word, _ in judged.values() if word]
    lines = [f"- {m}: {word}{places}" for m, (word, places) in judged.items()]
    missing = [
        f"No {words} (`{name}`) in this sweep."
        for name, words in baselines.items()
        if name not in methods
    ]
    paragraphs = [_BEATS, "\n".join(lines)] if lines else []
    paragraphs += [" ".join(missing)] if missing else []
    fewest = min(len(point.accuracy) for point in points)
    return stats.answer(words, "methods", seeds=fewest), [
        *_busy(points),
        *paragraphs,
        *areas(points),
        *_reading(points),
    ]


def areas(points: Sequence[Point], cost: Cost = "macs") -> list[str]:
    """Returns a table of the areas over the costs that all methods reach, in words.

    Args:
        points: As of `areas_by_method`.
        cost: Horizontal axis.
    """
    found, of = tradeoff.areas_by_method(points, cost), tradeoff.COSTS[cost]
    if found is None:
        return [f"No area against {of}: no range of it is common to the curves."]
    (low, high), intervals = found
    rows: list[Row] = [
        {"method": method, "area (%)": tables.with_half(i.mean, i.half, ".2f")}
        | dict(seeds=i.number)
        for method, i in intervals.items()
    ]
    return [
        f"Area under accuracy against {of}: the mean accuracy of the curve, "
        f"linear between its points, from {low:.3f} to {high:.3f} of those of the "
        "dense network, which all of these reach.",
        tables.markdown_table(rows, ["method", "area (%)", "seeds"]),
    ]


def _judge(points: Sequence[Point], verdicts: Verdicts) -> tuple[str, str]:
    """Whether a method beats the baselines where it saves MACs, and the places."""
    places: dict[str, list[str]] = {word: [] for word in _WORDS}
    alone, against_all = [], True
    for point in points:
        if point.mean_macs >= 1 - tradeoff.REACH:
            continue
        verdict = verdicts.get(point)
        absent = verdict.absent if verdict else ()
        beside = f" (no {', no '.join(absent)} there)" if absent else ""
        found = places[verdict.word] if verdict else alone
        found.append(f"{point.mean_macs:.2f}{beside}")
        against_all &= verdict is not None and not absent
    parts = [f"{word} at {', '.join(at)}" for word, at in places.items() if at]
    if not parts:
        return "", "no baseline at equal MACs, nothing to judge."
    parts += [f"no baseline at {', '.join(alone)}"] if alone else []
    if places["better"]:
        everywhere = against_all and not (places["worse"] or places["undecided"])
        word = stats.SUPPORTED if everywhere else stats.IN_PART
    else:
        word = stats.CONTRADICTED if places["worse"] else stats.INCONCLUSIVE
    return word, f" ({'; '.join(parts)})."


def _busy(points: Sequence[Point]) -> list[str]:
    trials = {(p.method, p.setting, seed) for p in points for seed in p.accuracy}
    busy = {(p.method, p.setting, seed) for p in points for seed in p.busy}
    if not busy:
        return []
    return [
        f"**{runs.BUSY.capitalize()}**: in {len(busy)} of {len(trials)} trials the "
        f"dense network, timed twice in the same turns, differed from itself by more "
        f"than {runs.OFF:.0%} (busy in the table)."
    ]


def _reading(points: Sequence[Point]) -> list[str]:
    sizes = sorted({len(point.accuracy) for point in points})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    seeds = "1 seed" if sizes == [1] else f"{count} seeds"
    paragraphs = [
        f"Accuracy and time: mean ± half of Student's 95 % interval over {seeds} per "
        "point. Difference: paired by seed with the best baseline that has these MACs "
        "in every seed of the point, read between the baseline's points. p: paired t "
        "test, corrected by Holm over the points of a method, since each method is a "
        "question of its own, and decided below 5 %. The best baseline is chosen by "
        "these same numbers, against the method: worse comes more easily than better. "
        "★: on the Pareto front of mean accuracy and MACs. Intervals cover the seeds "
        "of training alone: data and test images are the same for all seeds."
    ]
    if sizes[0] == 1:
        paragraphs.append("A point with one seed has no interval and decides nothing.")
    smaller = sorted({point.method for point in points if point.smaller})
    if smaller:
        paragraphs.append(
            f"{', '.join(smaller)}: a smaller dense network, billed and timed as a "
            f"fraction of the largest one of the sweep, which ends its curve. Its "
            f"trials ran in other processes, so that its time was not measured side by "
            f"side."
        )
    return paragraphs
