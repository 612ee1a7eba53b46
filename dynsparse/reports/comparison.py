"""Methods beside the best baseline at equal MACs, and the standard report of it."""

import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dynsparse.reports import figures, runs, stats, tables, tradeoff
from dynsparse.reports.comparison_figure import draw_column, draw_comparison
from dynsparse.reports.findings import Verdict, findings
from dynsparse.reports.report import Report
from dynsparse.reports.stats import BySeed
from dynsparse.reports.tables import Row
from dynsparse.reports.tradeoff import Curve, Point

BASELINES: Mapping[str, str] = dict(
    dense="dense network",
    random_topk="random gates",
    static="static pruning",
    narrower="narrower dense network",
)
_COLUMNS = (
    *("method", "setting", "MACs / dense", "accuracy (%)", "time / dense"),
    *("best baseline", "difference (points)", "p (Holm)", "Pareto"),
)
_MEASURED = ("method", "setting", "seed", *runs.FIELDS)
_HEIGHT = 5.2  # inches of a row of panels
_TITLE = 0.3  # inches of a name in a column


def compare_methods(
    rows: Sequence[Row],
    *,
    baselines: Mapping[str, str] = BASELINES,
    notes: Sequence[str] = (),
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

    Raises:
        ValueError: If there are no rows, or two trials cannot be told apart.

    Example:
        >>> row = dict(method="soft_topk", setting="any", seed=0, accuracy=0.9)
        >>> row |= dict(macs_mean=1e6, macs_dense=4e6)
        >>> row |= dict(latency_ms=1.0, latency_dense_ms=2.0)
        >>> report = reports.compare_methods([row])
        >>> report.table[0]["MACs / dense"], report.table[0]["accuracy (%)"]
        ('0.250', '90.00')
    """
    points = tradeoff.read_points(rows)
    verdicts = judge(points, baselines)
    answer, found = findings(points, verdicts, baselines)
    front = tradeoff.pareto_front(
        [
            (p.mean_macs, stats.mean_interval(list(p.accuracy.values())).mean)
            for p in points
        ]
    )
    lines = [
        _numbers(point, verdicts.get(point), on_front)
        for point, on_front in zip(points, front, strict=True)
    ]
    return Report(
        rows=lines,
        columns=_COLUMNS,
        table=[_words(line) for line in lines],
        measured=[{name: row.get(name) for name in _MEASURED} for row in rows],
        notes=[*notes, *found],
        figure=lambda figure: draw_comparison(figure, points, baselines),
        column=lambda figure: draw_column(figure, points, baselines),
        answer=answer,
    )


def compare_in_groups(
    rows: Sequence[Row],
    group: Callable[[Row], str | None],
    *,
    by: str,
    baselines: Mapping[str, str] = BASELINES,
    notes: Sequence[str] = (),
) -> Report:
    """Returns `compare_methods` of each group of methods, one below the other.

    Args:
        rows: As of `compare_methods`.
        group: The group of a row; None for a baseline that belongs to all of them.
        by: What the groups are, a column of the table.
        baselines: As of `compare_methods`.
        notes: Paragraphs of the experiment's own.

    Raises:
        ValueError: If no row belongs to a group.

    Example:
        >>> row = dict(method="soft_topk", setting="tokens", seed=0, accuracy=0.9)
        >>> row |= dict(macs_mean=1e6, macs_dense=4e6)
        >>> row |= dict(latency_ms=1.0, latency_dense_ms=2.0)
        >>> unit = lambda row: row["setting"]
        >>> report = reports.compare_in_groups([row], unit, by="unit")
        >>> report.rows[0]["unit"]
        'tokens'
    """
    names = list(dict.fromkeys(name for row in rows if (name := group(row))))
    if not names:
        raise ValueError("a comparison in groups needs a row that belongs to one.")
    parts = {
        name: compare_methods(
            [row for row in rows if group(row) in (name, None)], baselines=baselines
        )
        for name in names
    }
    label = lambda of: [
        {by: name} | dict(line) for name, part in parts.items() for line in of(part)
    ]
    said = [f"**{name}**\n\n" + "\n\n".join(part.notes) for name, part in parts.items()]
    return Report(
        rows=label(lambda part: part.rows),
        columns=[by, *_COLUMNS],
        table=label(lambda part: part.table),
        measured=label(lambda part: part.measured),
        notes=[*notes, *said],
        figure=lambda figure: _draw(figure, parts),
        column=lambda figure: _draw_column(figure, parts),
        answer="\n".join(f"- {name}: {part.answer}" for name, part in parts.items()),
    )


def judge(points: Sequence[Point], baselines: Collection[str]) -> dict[Point, Verdict]:
    """Returns the verdict on each point of a method that is no baseline.

    Each seed's baseline is read at the MACs that the same seed of the point spends, by
    linear interpolation of that seed's curve, never beyond its ends. Of the baselines
    that have a value in every seed of the point, the best is the one of the highest
    mean accuracy there: chosen with hindsight, against the method. Each method is a
    question of its own: p is corrected over its points, not over those of others.

    Args:
        points: Points of all methods.
        baselines: Their methods.

    Returns:
        Verdicts by point; a point is absent where no baseline has its MACs.
    """
    rivals = {
        name: found
        for name, found in tradeoff.curves(points).items()
        if name in baselines
    }
    verdicts: dict[Point, Verdict] = {}
    for method, some in tradeoff.by_method(points).items():
        if method in baselines:
            continue
        read = {point: _at_equal_macs(point, rivals) for point in some}
        mean = lambda values: statistics.fmean(values.values())
        best = {p: max(v, key=lambda n: mean(v[n])) for p, v in read.items() if v}
        gaps = stats.paired_differences(
            {point: (point.accuracy, read[point][name]) for point, name in best.items()}
        )
        for point, (gap, p) in gaps.items():
            absent = [n for n in rivals if n not in read[point] and n != tradeoff.DENSE]
            verdicts[point] = Verdict(best[point], gap, p, absent)
    return verdicts


def _at_equal_macs(
    point: Point, rivals: Mapping[str, Mapping[int, Curve]]
) -> dict[str, BySeed]:
    """Accuracy by seed of the baselines that have one in every seed of the point."""
    found: dict[str, BySeed] = {}
    for name, seeds in rivals.items():
        values = {
            seed: value
            for seed, macs in point.macs.items()
            if seed in seeds
            and (value := tradeoff.value_at(seeds[seed], macs)) is not None
        }
        if len(values) == len(point.macs):
            found[name] = values
    return found


def _numbers(point: Point, verdict: Verdict | None, on_front: bool) -> dict[str, Any]:
    """A row of report.csv."""
    row: dict[str, Any] = dict(
        method=point.method, setting=point.setting, seeds=len(point.accuracy)
    )
    for name in ("macs", "accuracy", "time"):
        interval = stats.mean_interval(list(getattr(point, name).values()))
        row |= {f"{name}_mean": interval.mean, f"{name}_half": interval.half}
    difference = verdict and verdict.difference
    return row | dict(
        baseline=verdict and verdict.baseline,
        difference_mean=difference and difference.mean,
        difference_half=difference and difference.half,
        p=difference and difference.p,
        p_holm=verdict and verdict.corrected_p,
        absent=verdict and " ".join(verdict.absent),
        pareto=on_front,
        busy=bool(point.busy),
    )


def _words(row: Row) -> Row:
    """A row of the table of report.md, from one of report.csv."""
    judged = row["baseline"] is not None
    points = lambda name, form: tables.with_half(
        100 * row[f"{name}_mean"], 100 * row[f"{name}_half"], form
    )
    cells = (
        row["method"],
        row["setting"],
        f"{row['macs_mean']:.3f}",
        points("accuracy", ".2f"),
        tables.with_half(row["time_mean"], row["time_half"], ".2f")
        + " (busy)" * row["busy"],
        row["baseline"],
        points("difference", "+.2f") if judged else None,
        tables.p_in_words(row["p_holm"]) if judged else None,
        "★" if row["pareto"] else None,
    )
    return dict(zip(_COLUMNS, cells, strict=True))


def _draw(figure, parts: Mapping[str, Any]):
    figure.set_size_inches(11, _HEIGHT * len(parts))
    for strip, part in _strips(figure, parts):
        part.figure(strip)


def _draw_column(figure, parts: Mapping[str, Any]) -> float:
    heights = [part.column(strip) for strip, part in _strips(figure, parts)]
    height = len(parts) * (max(heights) + _TITLE)
    figure.set_size_inches(figures.COLUMN, height)
    return height


def _strips(figure, parts: Mapping[str, Any]):
    """A part of the figure for each report, with its name."""
    strips = figure.subfigures(len(parts), 1, squeeze=False)[:, 0]
    for strip, (name, part) in zip(strips, parts.items(), strict=True):
        strip.suptitle(name, fontsize="large")
        yield strip, part
