"""Methods beside the best baseline at equal MACs, and the standard report of it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from dynsparse.reports import runs, stats, tables, tradeoff
from dynsparse.reports.comparison_figure import draw_comparison
from dynsparse.reports.report import Report
from dynsparse.reports.stats import BySeed, Row, by_seed, grouped

BASELINES: Mapping[str, str] = dict(
    dense="dense network",
    random_topk="random gates",
    static="static pruning",
    narrower="narrower dense network",
)
_MEASURED = ("method", "setting", "seed", *runs.FIELDS)
_WORDS = ("better", "worse", "undecided")
_BEATS = (
    "More accurate than the best baseline at equal MACs, where it saves some (places "
    "are MACs / dense MACs):"
)


def compare_methods(
    rows: Sequence[Row],
    *,
    baselines: Mapping[str, str] = BASELINES,
    notes: Sequence[str] = (),
    group: Callable[[Row], str | None] = lambda row: "",
    by: str = "",
) -> Report:
    """Returns the answer, the table and the figure of a sweep over methods.

    A row of the table is a point of a method's curve: its MACs, accuracy and time over
    the seeds, and the paired difference by seed from the best baseline at equal MACs.

    Args:
        rows: One per trial and point: `method`, `setting`, `seed` and the fields of
            curve.csv.
        baselines: Method to its name in words, of all that the sweep should hold; the
            report says which are missing.
        notes: Paragraphs of the experiment's own, before those of the comparison.
        group: The group of a row, where methods are compared in groups, one below the
            other; None for a baseline that belongs to all of them.
        by: What the groups are, a column of the table.

    Raises:
        ValueError: If there are no rows, two trials cannot be told apart, or no row
            belongs to a group.

    Example:
        >>> row = dict(method="soft_topk", setting="any", seed=0, score=0.9)
        >>> row |= dict(macs_mean=1e6, macs_dense=4e6)
        >>> row |= dict(latency_ms=1.0, latency_dense_ms=2.0)
        >>> report = reports.compare_methods([row])
        >>> report.table[0]["MACs / dense"], report.table[0]["accuracy (%)"]
        ('0.250', '90.00')
    """
    groups = grouped(rows, group)
    shared = groups.pop(None, [])
    if shared and not groups:
        raise ValueError("a comparison in groups needs a row that belongs to one.")
    lines, measured, answers, said, drawn = [], [], [], [], {}
    for name in groups or [""]:
        some = [row for row in rows if group(row) in (name, None)]
        label = {by: name} if by else {}
        points = tradeoff.read_points(some)
        judged = judge(points, baselines)
        answer, found = findings(points, judged, baselines)
        lines += [label | row for row in judged]
        measured += [label | {key: row.get(key) for key in _MEASURED} for row in some]
        answers.append(f"- {name}: {answer}" if by else answer)
        said += [f"**{name}**", *found] if by else found
        drawn[name] = points
    table = [_in_words(row, by) for row in lines]
    return Report(
        rows=lines,
        columns=list(table[0]),
        table=table,
        measured=measured,
        notes=[*notes, *said],
        figure=lambda figure: draw_comparison(figure, drawn, baselines),
        answer="\n".join(answers),
    )


def judge(points: Sequence[Row], baselines: Mapping[str, str]) -> list[dict[str, Any]]:
    """Returns a row per point: means over its seeds, beside the best baseline.

    Each seed's baseline is read at the MACs that the same seed of the point spends, by
    linear interpolation of that seed's curve, never beyond its ends. Of the baselines
    that have a value in every seed of the point, the best is the one of the highest
    mean accuracy there: chosen with hindsight, against the method. Each method is a
    question of its own: p is corrected over its points, not over those of others.

    The rows are those of `tradeoff.means` with `pareto` and `busy`. Where any baseline
    has its MACs, a row also has `baseline`, `difference`, its p values, and `absent`,
    the baselines that lack these MACs in a seed.
    """
    curves = tradeoff.curves(points)
    rivals = {name: found for name, found in curves.items() if name in baselines}
    rows: list[dict[str, Any]] = []
    for method, some in grouped(points, itemgetter("method")).items():
        places = grouped(some, itemgetter("setting", "rank"))
        pairs: dict[int, tuple[BySeed, BySeed]] = {}
        for row in tradeoff.means(some):
            own = places[row["setting"], row.pop("rank")]
            row["busy"] = any(point["busy"] for point in own)
            there = {} if method in baselines else _at_equal_macs(own, rivals)
            if there:
                mean = lambda name, there=there: statistics.fmean(there[name].values())
                row["baseline"] = max(there, key=mean)
                missing = [n for n in rivals if n not in (*there, tradeoff.DENSE)]
                row["absent"] = " ".join(missing)
                pairs[len(rows)] = by_seed(own, "accuracy"), there[row["baseline"]]
            rows.append(row)
        for place, gap in stats.paired_differences(pairs).items():
            rows[place] |= dict(difference=gap, p=gap.p, p_holm=gap.corrected_p)
    front = tradeoff.pareto_front(
        [(row["macs"].mean, row["accuracy"].mean) for row in rows]
    )
    return [row | dict(pareto=on) for row, on in zip(rows, front, strict=True)]


def _at_equal_macs(
    own: Sequence[Row], rivals: Mapping[str, Mapping[int, tradeoff.Curve]]
) -> dict[str, BySeed]:
    """Accuracy by seed of the baselines that have one in every seed of the point."""
    found: dict[str, BySeed] = {}
    for name, seeds in rivals.items():
        values = {
            point["seed"]: tradeoff.value_at(seeds[point["seed"]], point["macs"])
            for point in own
            if point["seed"] in seeds
        }
        known = {seed: value for seed, value in values.items() if value is not None}
        if len(known) == len(own):
            found[name] = known
    return found


def _in_words(row: Row, by: str) -> dict[str, Any]:
    """A row of the table of report.md, from one of report.csv."""
    gap = row.get("difference")
    return ({by: row[by]} if by else {}) | {
        "method": row["method"],
        "setting": row["setting"],
        "MACs / dense": f"{row['macs'].mean:.3f}",
        "accuracy (%)": f"{100 * row['accuracy']:.2f}",
        "time / dense": f"{row['time']:.2f}{' (busy)' * row['busy']}",
        "best baseline": row.get("baseline"),
        "difference (points)": gap and f"{100 * gap:+.2f}",
        "p (Holm)": gap and gap.p_in_words,
        "Pareto": "★" if row["pareto"] else None,
    }


def findings(
    points: Sequence[Row], judged: Sequence[Row], baselines: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Returns the answer of a comparison, and the paragraphs below it.

    They say where each method beats the best baseline, which baseline is missing, the
    areas under the curves, and how the table is to be read.
    """
    methods = grouped(judged, itemgetter("method"))
    verdicts = {m: _verdict(rows) for m, rows in methods.items() if m not in baselines}
    words = [word for word, _ in verdicts.values() if word]
    lines = [f"- {m}: {word}{places}" for m, (word, places) in verdicts.items()]
    missing = [
        f"No {words} (`{name}`) in this sweep."
        for name, words in baselines.items()
        if name not in methods
    ]
    return stats.answer(words, "methods", seeds=min(row["seeds"] for row in judged)), [
        *_busy(points),
        *([_BEATS, "\n".join(lines)] if lines else []),
        *([" ".join(missing)] if missing else []),
        *areas(points),
        *_reading(points, judged),
    ]


def _verdict(rows: Sequence[Row]) -> tuple[str, str]:
    """Whether a method beats the baselines where it saves MACs, and the places."""
    places: dict[str, list[str]] = {word: [] for word in (*_WORDS, "")}
    against_all = True
    for row in rows:
        if row["macs"].mean >= 1 - tradeoff.REACH:
            continue
        absent = row.get("absent", "").split()
        beside = f" (no {', no '.join(absent)} there)" if absent else ""
        word = row["difference"].verdict(_WORDS) if "difference" in row else ""
        places[word].append(f"{row['macs'].mean:.2f}{beside}")
        against_all &= bool(word) and not absent
    alone = places.pop("")
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


def areas(points: Sequence[Row]) -> list[str]:
    """Returns a table of the areas over the MACs that all methods reach, in words."""
    found = tradeoff.areas_by_method(points)
    if found is None:
        return ["No area against FLOPs: no range of it is common to the curves."]
    (low, high), intervals = found
    rows = [
        {"method": method, "area (%)": f"{100 * area:.2f}", "seeds": area.number}
        for method, area in intervals.items()
    ]
    return [
        f"Area under accuracy against FLOPs: the mean accuracy of the curve, "
        f"linear between its points, from {low:.3f} to {high:.3f} of those of the "
        "dense network, which all of these reach.",
        tables.markdown_table(rows, list(rows[0])),
    ]


def _busy(points: Sequence[Row]) -> list[str]:
    trials = grouped(points, itemgetter("method", "setting", "seed")).values()
    busy = [trial for trial in trials if any(point["busy"] for point in trial)]
    if not busy:
        return []
    return [
        f"**{runs.BUSY.capitalize()}**: in {len(busy)} of {len(trials)} trials the "
        f"dense network, timed twice in the same turns, differed from itself by more "
        f"than {runs.OFF:.0%} (busy in the table)."
    ]


def _reading(points: Sequence[Row], judged: Sequence[Row]) -> list[str]:
    sizes = sorted({row["seeds"] for row in judged})
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
    smaller = sorted({point["method"] for point in points if point["smaller"]})
    if smaller:
        paragraphs.append(
            f"{', '.join(smaller)}: a smaller dense network, billed and timed as a "
            f"fraction of the largest one of the sweep, which ends its curve. Its "
            f"trials ran in other processes, so that its time was not measured side by "
            f"side."
        )
    return paragraphs
