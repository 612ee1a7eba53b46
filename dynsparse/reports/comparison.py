"""The standard report of a comparison of methods."""

from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse.reports.chance import mean_interval, p_in_words
from dynsparse.reports.comparison_figure import draw_column, draw_comparison
from dynsparse.reports.curve import FIELDS
from dynsparse.reports.equal_macs import Verdict, judge
from dynsparse.reports.findings import findings
from dynsparse.reports.markup import Row, with_half
from dynsparse.reports.points import Point, read_points
from dynsparse.reports.report import Report
from dynsparse.reports.tradeoff import pareto_front

BASELINES: Mapping[str, str] = dict(
    dense="dense network",
    random_topk="random gates",
    static="static pruning",
    narrower="narrower dense network",
)
_COLUMNS = (
    "method",
    "setting",
    "MACs / dense",
    "accuracy (%)",
    "time / dense",
    "best baseline",
    "difference (points)",
    "p (Holm)",
    "Pareto",
)
_MEASURED = ("method", "setting", "seed", *FIELDS)


def compare_methods(
    rows: Sequence[Row],
    *,
    baselines: Mapping[str, str] = BASELINES,
    notes: Sequence[str] = (),
) -> Report:
    """Returns the table, the verdicts and the figure of a sweep over methods.

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
    """
    points = read_points(rows)
    verdicts = judge(points, baselines)
    front = pareto_front(
        [(p.mean_macs, mean_interval(list(p.accuracy.values())).mean) for p in points]
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
        notes=[*notes, *findings(points, verdicts, baselines)],
        figure=lambda figure: draw_comparison(figure, points, baselines),
        column=lambda figure: draw_column(figure, points, baselines),
    )


def _numbers(point: Point, verdict: Verdict | None, on_front: bool) -> dict[str, Any]:
    """A row of report.csv."""
    over = lambda values: mean_interval(list(values.values()))
    row: dict[str, Any] = dict(
        method=point.method, setting=point.setting, seeds=len(point.accuracy)
    )
    for name in ("macs", "accuracy", "time"):
        interval = over(getattr(point, name))
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
    cells = (
        row["method"],
        row["setting"],
        f"{row['macs_mean']:.3f}",
        with_half(100 * row["accuracy_mean"], 100 * row["accuracy_half"], ".2f"),
        with_half(row["time_mean"], row["time_half"], ".2f") + " (busy)" * row["busy"],
        row["baseline"],
        with_half(100 * row["difference_mean"], 100 * row["difference_half"], "+.2f")
        if judged
        else None,
        p_in_words(row["p_holm"]) if judged else None,
        "★" if row["pareto"] else None,
    )
    return dict(zip(_COLUMNS, cells, strict=True))
