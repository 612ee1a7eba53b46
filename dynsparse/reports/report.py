"""What an experiment says, and the files that say it."""

import csv
import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports.markup import Row, latex_table, markdown_table
from dynsparse.reports.origin import Origin, origin_in_words
from dynsparse.reports.style import save

_SMALL = "Pipeline check: a small run, which claims nothing"
_REFUTED = "What would refute it:"


@dataclasses.dataclass(frozen=True)
class Report:
    """What an experiment says.

    Attributes:
        rows: Of report.csv: every row with the same columns.
        columns: Those that the tables of report.md and report.tex show.
        notes: Paragraphs below the table.
        figure: Draws on a new matplotlib figure, or None.
        column: Draws on another, as wide as a column of a paper, or None; returns the
            height that it needs, in inches.
        table: Rows that those tables show in place of `rows`, in words; empty for none.
        measured: Rows of seeds.csv: what `rows` were computed from; empty for none.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    notes: Sequence[str] = ()
    figure: Callable[[Any], None] | None = None
    column: Callable[[Any], float] | None = None
    table: Sequence[Row] = ()
    measured: Sequence[Row] = ()


def write_report(
    out: pathlib.Path,
    report: Report,
    *,
    name: str,
    claim: str,
    command: str,
    where: Origin,
    small: bool = False,
):
    """Writes report.csv, report.tex, figure.png, .svg and .pdf and, last, report.md.

    That has the claim, what came out, the figure and the table; then what would refute
    the claim, and how and where the numbers were made. A column is in figure-column,
    with the same endings. Each file is there whole or as it was before, whatever
    happens while it is written.

    Args:
        out: An existing folder.
        report: What the experiment says.
        name: Of the experiment.
        claim: What it set out to show, and what would refute it.
        command: Makes the report again.
        where: Commit, device and versions that the numbers come from.
        small: Whether the sweep only proves that everything works, which report and
            figure then say.
    """
    table = report.table or report.rows
    _write_rows(out / "report.csv", report.rows)
    if report.measured:
        _write_rows(out / "seeds.csv", report.measured)
    with atomic_write(out / "report.tex") as file:
        file.write_text(latex_table(table, report.columns))
    said, refuted, how = claim.partition(_REFUTED)
    lines = [f"# {name}", *([f"**{_SMALL}.**"] if small else [])]
    lines += [_capital(said.strip()), *report.notes]
    warning = _SMALL if small else ""
    if report.column is not None:
        with matplotlib.rc_context({"font.size": 7}):
            _draw(out / "figure-column", report.column, warning)
    if report.figure is not None:
        _draw(out / "figure", report.figure, warning)
        lines.append(f"![{name}](figure.png)")
    lines += [markdown_table(table, report.columns)]
    lines += [refuted + how] if refuted else []
    lines += [f"`{command}`", origin_in_words(where, _seeds(report))]
    with atomic_write(out / "report.md") as file:
        file.write_text("\n\n".join(lines) + "\n")


def _write_rows(path: pathlib.Path, rows: Sequence[Row]):
    with atomic_write(path) as file, file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def _draw(stem: pathlib.Path, draw: Callable[[Any], Any], warning: str):
    figure = Figure(figsize=(9, 5), layout="constrained")
    draw(figure)
    if warning:
        title = figure.get_suptitle()
        told = f"{title} ({warning})" if title else warning
        figure.suptitle(told, fontsize="medium", wrap=True)
    save(figure, stem)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _seeds(report: Report) -> list[int]:
    rows = [*report.rows, *report.measured]
    return sorted({row["seed"] for row in rows if row.get("seed") is not None})
