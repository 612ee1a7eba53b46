"""Rows as the tables of Markdown and LaTeX."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

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
    """`rows` as a table of `columns`; floats with four digits."""
    line = lambda cells: "| " + " | ".join(c.replace("|", r"\|") for c in cells) + " |"
    lines = [line(columns), "|" + " --- |" * len(columns)]
    lines += [line([_cell(row[column]) for column in columns]) for row in rows]
    return "\n".join(lines)


def latex_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    r"""`rows` as a tabular of `columns`, for `\usepackage{booktabs}`.

    Columns of numbers are set to the right, others to the left. What LaTeX would take
    for a command is escaped.
    """
    line = lambda cells: "  " + " & ".join(escape(cell) for cell in cells) + r" \\"
    number = lambda column: all(
        row[column] is None or isinstance(row[column], int | float) for row in rows
    )
    kinds = "".join("r" if number(column) else "l" for column in columns)
    lines = [
        rf"\begin{{tabular}}{{{kinds}}}",
        r"  \toprule",
        line(columns),
        r"  \midrule",
        *(line([_cell(row[column]) for column in columns]) for row in rows),
        r"  \bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Returns `text` as LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in text)


def with_half(mean: float, half: float, form: str) -> str:
    """Returns `mean ± half` in the format `form`, or the mean where `half` is nan."""
    if math.isnan(half):
        return f"{mean:{form}}"
    return f"{mean:{form}} ± {half:{form.lstrip('+')}}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
