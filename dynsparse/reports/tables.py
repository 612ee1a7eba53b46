"""Rows as tables of Markdown, of LaTeX and for the screen, and as CSV."""

import csv
import pathlib
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports.stats import Interval, Row

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "★": r"$\star$",
} | {character: f"\\{character}" for character in "&%$#_{}"}


def markdown_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Returns `rows` as a table of `columns`; floats have four digits."""
    line = lambda cells: "| " + " | ".join(c.replace("|", r"\|") for c in cells) + " |"
    lines = [line(columns), "|" + " --- |" * len(columns)]
    lines += [line([_cell(row[column]) for column in columns]) for row in rows]
    return "\n".join(lines)


def latex_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    r"""Returns `rows` as a tabular of `columns`, for `\usepackage{booktabs}`.

    Columns of numbers are set to the right, others to the left. What LaTeX would take
    for a command is escaped.
    """
    line = lambda cells: "  " + " & ".join(escape(cell) for cell in cells) + r" \\"
    number = lambda column: all(
        isinstance(row[column], int | float | None) for row in rows
    )
    kinds = "".join("r" if number(column) else "l" for column in columns)
    lines = [rf"\begin{{tabular}}{{{kinds}}}", r"  \toprule", line(columns)]
    lines += [r"  \midrule"]
    lines += [line([_cell(row[column]) for column in columns]) for row in rows]
    return "\n".join([*lines, r"  \bottomrule", r"\end{tabular}", ""])


def escape(text: str) -> str:
    """Returns `text` as LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in text)


def screen_table(
    title: str, columns: Sequence[str], *, left: str = "", padding: int = 0
) -> Table:
    """Returns an empty table for the screen; columns but `left` are to the right."""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, padding))
    for column in columns:
        side = "left" if column == left else "right"
        table.add_column(column, justify=side, no_wrap=True)
    return table


def write_csv(path: pathlib.Path, rows: Sequence[Row]):
    """Writes rows, whole or not at all; an interval is two columns, mean and half."""
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    with atomic_write(path) as file, file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, columns)
        table.writeheader()
        table.writerows(flat)


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Interval):
            flat |= {f"{key}_mean": value.mean, f"{key}_half": value.half}
        else:
            flat[key] = value
    return flat


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
