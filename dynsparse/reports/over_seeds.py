"""Any numbers of an experiment: means over the seeds, with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynsparse.reports.chance import mean_interval
from dynsparse.reports.markup import Row, with_half
from dynsparse.reports.report import Report


def over_seeds(
    rows: Sequence[Row], by: Sequence[str], of: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns a row per combination of the values of `by`, in their order.

    Args:
        rows: One per seed and combination.
        by: Columns that say what was measured.
        of: Columns of numbers.

    Returns:
        Rows with `by`, `seeds`, and NAME_mean and NAME_half for each of `of`.
    """
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in by), []).append(row)
    means: list[dict[str, Any]] = []
    for values, some in found.items():
        mean: dict[str, Any] = dict(zip(by, values, strict=True), seeds=len(some))
        for name in of:
            interval = mean_interval([row[name] for row in some])
            mean |= {f"{name}_mean": interval.mean, f"{name}_half": interval.half}
        means.append(mean)
    return means


def by_seed(rows: Sequence[Row], name: str, **place: Any) -> dict[int, float]:
    """Returns one column of the rows at a place, by seed.

    Args:
        rows: With a `seed` each, one per seed at that place.
        name: Of the column.
        **place: Values of other columns.
    """
    here = [row for row in rows if all(row[key] == place[key] for key in place)]
    return {row["seed"]: row[name] for row in here}


def means_in_words(
    means: Sequence[Row], by: Sequence[str], of: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Returns those rows for a table: "mean ± half".

    Args:
        means: As `over_seeds` returns them.
        by: As there.
        of: Columns of numbers, and how each is written, such as ".3f".
    """
    cell = lambda row, name, form: with_half(
        row[f"{name}_mean"], row[f"{name}_half"], form
    )
    return [
        {key: row[key] for key in by}
        | {name: cell(row, name, form) for name, form in of.items()}
        | dict(seeds=row["seeds"])
        for row in means
    ]


def report_means(
    measured: Sequence[Row],
    by: Sequence[str],
    of: Mapping[str, str],
    *,
    notes: Sequence[str],
    draw: Callable[[Any, Sequence[Row]], None],
) -> Report:
    """Returns the report of an experiment whose table is means over the seeds.

    Args:
        measured: One row per seed and combination of `by`.
        by: Columns that say what was measured.
        of: Columns of numbers, and how each is written.
        notes: Paragraphs below the table.
        draw: Draws the means, as `over_seeds` returns them, on a new figure.
    """
    means = over_seeds(measured, by, list(of))
    return Report(
        rows=means,
        columns=[*by, *of, "seeds"],
        table=means_in_words(means, by, of),
        measured=measured,
        notes=notes,
        figure=lambda figure: draw(figure, means),
    )
