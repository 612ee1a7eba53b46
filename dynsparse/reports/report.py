"""What an experiment says, and the files that say it."""

import csv
import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.figure

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Report:
    """What an experiment says.

    Attributes:
        rows: Of the csv: every row with the same columns.
        columns: Those that the table of report.md shows.
        notes: Paragraphs below the table.
        figure: Draws on a new matplotlib figure, or None.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    notes: Sequence[str] = ()
    figure: Callable[[Any], None] | None = None


def write_report(
    out: pathlib.Path,
    report: Report,
    *,
    name: str,
    claim: str,
    command: str,
    where: Row,
):
    """Writes NAME.csv, report.md and figure.png into `out`.

    Args:
        out: An existing folder.
        report: What the experiment says.
        name: Of the experiment.
        claim: What it set out to show, and what would refute it.
        command: Makes the report again.
        where: Commit, device and versions that the numbers come from.
    """
    with (out / f"{name}.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(report.rows[0]))
        table.writeheader()
        table.writerows(report.rows)
    lines = [
        f"# {name}",
        claim,
        f"`{command}`",
        f"`{json.dumps(where)}`",
        markdown_table(report.rows, report.columns),
        *report.notes,
    ]
    if report.figure is not None:
        figure = matplotlib.figure.Figure(figsize=(9, 5), dpi=130, layout="constrained")
        report.figure(figure)
        figure.savefig(out / "figure.png")
        lines.append(f"![{name}](figure.png)")
    (out / "report.md").write_text("\n\n".join(lines) + "\n")


def markdown_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """`rows` as a table of `columns`; floats with four digits."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += [
        "| " + " | ".join(_cell(row[column]) for column in columns) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
