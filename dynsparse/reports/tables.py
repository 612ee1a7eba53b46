"""Rows as tables of Markdown and LaTeX and as CSV; numbers in words."""

import csv
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse._internal.atomic_write import atomic_write

Row = Mapping[str, Any]

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
    r"""Returns `rows` as a table of `columns`; floats have four digits.

    Example:
        >>> rows = [dict(gate="a", error=0.123456)]
        >>> print(reports.markdown_table(rows, ["gate", "error"]))
        | gate | error |
        | --- | --- |
        | a | 0.1235 |
    """
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


def write_csv(path: pathlib.Path, rows: Sequence[Row]):
    """Writes rows of the same columns, whole or not at all.

    Args:
        path: File; its folder exists.
        rows: At least one.
    """
    with atomic_write(path) as file, file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def with_half(mean: float, half: float, form: str) -> str:
    """Returns `mean ± half` in the format `form`, or the mean where `half` is nan.

    Example:
        >>> reports.with_half(0.5, 0.25, "+.1f")
        '+0.5 ± 0.2'
    """
    if math.isnan(half):
        return f"{mean:{form}}"
    return f"{mean:{form}} ± {half:{form.lstrip('+')}}"


def p_in_words(p: float) -> str:
    """Returns a p value with three digits, or that there was only one seed.

    Example:
        >>> reports.p_in_words(0.25), reports.p_in_words(1e-9)
        ('0.250', '< 0.001')
    """
    if math.isnan(p):
        return "one seed"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
