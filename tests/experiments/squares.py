"""Squares?

Claim: they are.

An experiment to test the form with. A trial notes itself in the file that it is given,
and the second one fails where another file says so.
"""

import pathlib

from dynsparse.reports import Report


def sweep(add, size):
    """Three numbers."""
    for number in (1, 2, 3):
        add(number=number, log=LOG)


LOG = ""


def measure(*, number: int, log: str) -> dict:
    """The square of a number, unless the file beside the log forbids it."""
    with open(log, "a") as file:
        file.write(f"{number}\n")
    if pathlib.Path(f"{log}.fails").exists() and number == 2:
        raise RuntimeError("not today")
    return dict(number=number, square=float(number**2))


def report(rows):
    """A table of one column."""
    return Report(
        rows, ["square"], ["A note."], lambda figure: figure.subplots().plot([1, 2])
    )
