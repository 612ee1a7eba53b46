"""What a comparison of methods found, in words."""

from collections.abc import Mapping, Sequence

from dynsparse.reports.areas import areas
from dynsparse.reports.curve import BUSY, OFF
from dynsparse.reports.equal_macs import Verdict
from dynsparse.reports.points import Point, by_method
from dynsparse.reports.tradeoff import REACH

_WORDS = ("better", "worse", "undecided")
_BEATS = (
    "Beats the best baseline at equal MACs, where it saves some (places are MACs / "
    "dense MACs):"
)


def findings(
    points: Sequence[Point],
    verdicts: Mapping[Point, Verdict],
    baselines: Mapping[str, str],
) -> list[str]:
    """Returns the paragraphs below the table.

    They say where each method beats the best baseline, which baseline is missing, the
    areas under the curves, and how the table is to be read.

    Args:
        points: Of all methods.
        verdicts: On the points that a baseline could be compared with.
        baselines: Method to its name in words.
    """
    methods = by_method(points)
    claims = [
        _claim(method, found, verdicts)
        for method, found in methods.items()
        if method not in baselines
    ]
    missing = [
        f"No {words} (`{name}`) in this sweep."
        for name, words in baselines.items()
        if name not in methods
    ]
    paragraphs = [_BEATS, "\n".join(claims)] if claims else []
    paragraphs += [" ".join(missing)] if missing else []
    return [*_busy(points), *paragraphs, *areas(points), *_reading(points)]


def _busy(points: Sequence[Point]) -> list[str]:
    trials = {(p.method, p.setting, seed) for p in points for seed in p.accuracy}
    busy = {(p.method, p.setting, seed) for p in points for seed in p.busy}
    if not busy:
        return []
    return [
        f"**{BUSY[:1].upper()}{BUSY[1:]}**: in {len(busy)} of {len(trials)} trials the "
        f"dense network, timed twice in the same turns, differed from itself by more "
        f"than {OFF:.0%} (busy in the table)."
    ]


def _claim(
    method: str, points: Sequence[Point], verdicts: Mapping[Point, Verdict]
) -> str:
    places: dict[str, list[str]] = {word: [] for word in _WORDS}
    alone: list[str] = []
    below = [point for point in points if point.mean_macs < 1 - REACH]
    for point in below:
        verdict = verdicts.get(point)
        found = places[verdict.word] if verdict else alone
        found.append(_place(point, verdict.absent if verdict else ()))
    judged = sum(map(len, places.values()))
    if not judged:
        return f"- {method}: no baseline at equal MACs, nothing to judge."
    parts = [f"{word} at {', '.join(at)}" for word, at in places.items() if at]
    if alone:
        parts.append(f"no baseline at {', '.join(alone)}")
    against_all = all(
        point in verdicts and not verdicts[point].absent for point in below
    )
    return f"- {method}: {_holds(places, against_all)} ({'; '.join(parts)})."


def _holds(places: Mapping[str, Sequence[str]], against_all: bool) -> str:
    if not places["better"]:
        return "does not hold" if places["worse"] else "not shown"
    everywhere = against_all and not (places["worse"] or places["undecided"])
    return "holds" if everywhere else "holds in part"


def _place(point: Point, absent: Sequence[str]) -> str:
    beside = f" (no {', no '.join(absent)} there)" if absent else ""
    return f"{point.mean_macs:.2f}{beside}"


def _reading(points: Sequence[Point]) -> list[str]:
    sizes = sorted({len(point.accuracy) for point in points})
    count = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    seeds = "1 seed" if sizes == [1] else f"{count} seeds"
    paragraphs = [
        f"Mean ± half of Student's 95 % interval over {seeds} a point; the "
        f"difference is paired by seed with the best baseline that has these MACs in "
        f"every seed of the point (others are not there), read between its points; p "
        f"of the paired t test, corrected by Holm over the points of a method, each "
        f"method being a question of its own, decided below 5 %. The best baseline is "
        f"chosen by these same numbers, against the method: worse comes more easily "
        f"than better. ★: on the Pareto "
        f"front of mean accuracy and MACs. Intervals cover the seeds of training "
        f"alone: data and test images are the same for all seeds."
    ]
    if sizes[0] == 1:
        paragraphs.append("A point with one seed has no interval and decides nothing.")
    smaller = sorted({point.method for point in points if point.smaller})
    if smaller:
        paragraphs.append(
            f"{', '.join(smaller)}: a smaller dense network, billed and timed as a "
            f"fraction of the largest one of the sweep, which ends its curve; they ran "
            f"in other processes, so that its time was not measured side by side."
        )
    return paragraphs
