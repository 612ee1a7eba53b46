"""The house style of every figure: sizes, axes, colours of parts, and its files."""

import pathlib
from collections.abc import Iterable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dynsparse._internal.atomic_write import atomic_write

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "0.55"
PALE_BLUE = "#56B4E9"
PAGE, COLUMN = 10.0, 3.4  # inches: the width of a page on its side, and of a column
_FORMATS = ("png", "svg", "pdf")


def panels(number: int, *, column: bool = False) -> tuple[Figure, list[Any]]:
    """Returns a new figure with panels side by side, or below each other in a column.

    Args:
        number: Of panels.
        column: Whether it is to fit a column of a paper.
    """
    size = (COLUMN, 2.5 * number) if column else (PAGE / 2 * number, 4.2)
    figure = Figure(figsize=size, layout="constrained")
    shape = (number, 1) if column else (1, number)
    return figure, list(figure.subplots(*shape, squeeze=False).flat)


def polish(figure):
    """Gives all axes of a figure a pale grid, no box, and legends without a frame.

    What shows an image, or has no ticks, stays as it is.

    Args:
        figure: Drawn.
    """
    for axes in figure.get_axes():
        legend = axes.get_legend()
        if legend is not None:
            legend.set_frame_on(False)
        if not axes.images and axes.get_xticks().size:
            axes.set_axisbelow(True)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)


def fit(axes, values: Iterable[float], *, least: float = 0.0, top: float | None = None):
    """Sets the y axis to the values and a margin: no half of a figure is empty.

    Args:
        axes: To be set.
        values: That are drawn.
        least: The axis spans at least this.
        top: The axis ends there where it would end above.
    """
    found = list(values)
    low, high = min(found), max(found)
    spare = max(least - (high - low), 0.0) / 2
    margin = 0.15 * (high - low + 2 * spare) or 1.0
    end = high + spare + margin
    axes.set_ylim(
        low - spare - margin, end if top is None else min(end, max(top, high))
    )


def save(figure, stem: pathlib.Path) -> pathlib.Path:
    """Writes a figure as PNG, SVG and PDF, the same bytes each time.

    Args:
        figure: Drawn.
        stem: Path without its ending.

    Returns:
        The first file.
    """
    polish(figure)
    same = dict(svg=dict(Date=None), pdf=dict(CreationDate=None), png=None)
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in _FORMATS]
    with matplotlib.rc_context({"svg.hashsalt": "dynsparse"}):
        for ending, path in zip(_FORMATS, paths, strict=True):
            with atomic_write(path) as file:
                figure.savefig(file, dpi=150, format=ending, metadata=same[ending])
    return paths[0]
