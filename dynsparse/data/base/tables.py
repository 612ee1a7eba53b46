"""Tables in text files, read line by line."""

import contextlib
import csv
import math
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def open_table(
    path: pathlib.Path, delimiter: str
) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """Gives the number and the cells of each line that is not empty, from 1.

    Args:
        path: Of the file, in UTF-8; a mark of the byte order is no part of it.
        delimiter: Between two cells; more than one character is not quoted.

    Raises:
        ValueError: If it is no text; the message names it.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines: Iterator[str] = file
        if len(delimiter) > 1:
            lines = (line.replace(delimiter, "\t") for line in file)
        separator = delimiter if len(delimiter) == 1 else "\t"
        reader = csv.reader(lines, delimiter=separator)
        try:
            yield ((reader.line_num, row) for row in reader if row)
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(
                f"{path}: line {reader.line_num + 1}: not a table in UTF-8 ({error})."
            ) from error


def number_in(path: pathlib.Path, line: int, column: str, cell: str) -> float:
    """Returns the number that a cell holds.

    Args:
        path: Of the file.
        line: Of the cell, from 1.
        column: Of the cell.
        cell: Its text.

    Raises:
        ValueError: If it is no finite number; the message has line and column.
    """
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"{path}: line {line}, column {column}: must be a finite number, "
            f"got {cell!r}."
        )
    return number
