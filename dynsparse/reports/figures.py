"""One style for every figure: sizes, colours, markers, intervals, and files.

Colours and markers survive colour blindness and a grey printer.
"""

import dataclasses
import itertools
import math
import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports.tables import Row

BLUE, ORANGE, GREY, PALE_BLUE = "#0072B2", "#D55E00", "0.55", "#56B4E9"
PALE = "0.8"  # one of many
PAGE, COLUMN = 10.0, 3.4  # inches: the width of a page on its side, and of a column
FORMATS = ("png", "svg", "pdf")
COLOURS = (  # Okabe and Ito, 2008, without black and pale yellow; two of Tol, 2021
    *(BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", PALE_BLUE),
    *("#882255", "#999933"),
)
_MARKERS = "os^vDPh"  # seven to eight colours: 56 strokes before one comes again
_GREYS = ("0.0", "0.45", "0.3", "0.6")
_GREY_MARKERS = "<>dXp"
_DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))


@dataclasses.dataclass(frozen=True)
class Stroke:
    """The look of a method.

    Attributes:
        color: Line, marker and interval.
        marker: Differs between methods, for print in grey.
        dashes: Line style of matplotlib.
    """

    color: str
    marker: str
    dashes: Any = "solid"


def strokes(
    methods: Sequence[str],
    baselines: Sequence[str] = (),
    best: Sequence[str] | None = None,
) -> dict[str, Stroke]:
    """Returns a stroke per method: baselines grey and dashed, the others in colour.

    More colours than eight cannot be told apart: of more methods, the first eight of
    `best` have one, and the others are pale.

    Args:
        methods: In the order of the legend.
        baselines: What the others are compared with, in an order that gives each its
            look in every figure, whether it is among `methods` or not.
        best: The methods that are no baselines, best first; `methods` by default.

    Example:
        >>> reports.strokes(["soft_topk", "static"], ["static"])["soft_topk"].color
        '#0072B2'
    """
    greys = zip(*map(itertools.cycle, (_GREYS, _GREY_MARKERS, _DASHES)), strict=False)
    looks = zip(*map(itertools.cycle, (COLOURS, _MARKERS)), strict=False)
    grey = {name: Stroke(*look) for name, look in zip(baselines, greys, strict=False)}
    chosen = [name for name in best or methods if name not in grey][: len(COLOURS)]
    coloured = {m: Stroke(*next(looks)) for m in methods if m in chosen}
    return {m: grey.get(m) or coloured.get(m, Stroke(PALE, ".")) for m in methods}


def panels(number: int, *, column: bool = False) -> tuple[Figure, list[Any]]:
    """Returns a new figure with panels side by side, or one below the other.

    Args:
        number: Number of panels.
        column: Whether the figure is to fit a column of a paper: then one below the
            other.
    """
    size = (COLUMN, 2.5 * number) if column else (PAGE / 2 * number, 4.2)
    figure = Figure(figsize=size, layout="constrained")
    shape = (number, 1) if column else (1, number)
    return figure, list(figure.subplots(*shape, squeeze=False).flat)


def errorbars(
    axes,
    rows: Sequence[Row],
    x: str,
    y: str,
    hue: str,
    *,
    looks: Mapping[str, Stroke] | None = None,
    scale: float = 1.0,
):
    """Draws means with their intervals: joined over numbers, side by side over words.

    Args:
        axes: Panel to draw on.
        rows: Means, as of `over_seeds`.
        x: Column of numbers, or of words that stand at even distances.
        y: Column, whose `{y}_mean` is drawn with a bar of `{y}_half`: a number, or what
            is below and above.
        hue: Column that tells lines apart, the names of the legend.
        looks: Strokes by hue; in colour by default.
        scale: Factor of means and bars, 100 for per cent.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = Figure().subplots()
        >>> row = dict(gate="a", budget=0.5, accuracy_mean=0.9, accuracy_half=0.1)
        >>> reports.errorbars(axes, [row], "budget", "accuracy", "gate", scale=100.0)
        >>> [label.get_text() for label in axes.legend().get_texts()]
        ['a']
    """
    hues, places = (list(dict.fromkeys(row[key] for row in rows)) for key in (hue, x))
    words = any(isinstance(place, str) for place in places)
    looks = looks or strokes(hues)
    beside = min(0.1, 0.6 / max(len(hues) - 1, 1))  # of the distance of two words
    for index, name in enumerate(hues):
        some = [row for row in rows if row[hue] == name]
        some = some if words else sorted(some, key=lambda row: row[x])
        shift = beside * (index - (len(hues) - 1) / 2)
        bars = [np.broadcast_to(row[f"{y}_half"], 2) for row in some]
        axes.errorbar(
            [places.index(row[x]) + shift if words else row[x] for row in some],
            [scale * row[f"{y}_mean"] for row in some],
            yerr=scale * np.transpose(bars),
            color=looks[name].color,
            marker=looks[name].marker,
            linestyle="none" if words else looks[name].dashes,
            markersize=5.5,
            capsize=3,
            label=name,
        )
    if words:
        axes.set_xticks(range(len(places)), places)


def draw_rows(
    figure,
    panels: Mapping[str, Mapping[str, tuple[float, float, float]]],
    colours: Mapping[str, str],
):
    """Draws positive numbers on a log axis, a row per name, the least on top.

    Args:
        figure: A new figure with a constrained layout.
        panels: By title, and there by the name of a row: the middle and both ends of
            its bar. What a panel lacks is left out of it.
        colours: By the name of a row; blue where there is none.

    Example:
        >>> from matplotlib.figure import Figure
        >>> figure = Figure()
        >>> reports.draw_rows(figure, {"time": {"a": (2.0, 1.0, 3.0)}}, {})
        >>> figure.axes[0].get_title()
        'time'
    """
    found: dict[str, list[float]] = {}
    for rows in panels.values():
        for name, (middle, _, _) in rows.items():
            found.setdefault(name, []).append(math.log(middle))
    names = sorted(found, key=lambda name: -statistics.fmean(found[name]))
    figure.set_size_inches(2 + 2.1 * len(panels), 1.2 + 0.21 * len(names))
    drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, rows) in zip(drawn, panels.items(), strict=True):
        for name, (middle, low, high) in rows.items():
            place, color = names.index(name), colours.get(name, BLUE)
            axes.plot([low, high], [place, place], color=color)
            axes.plot(middle, place, "o", color=color, markersize=5)
        axes.set(xscale="log", title=title)
    drawn[0].set_yticks(range(len(names)), names, fontsize="small")


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


def polish(figure):
    """Gives all axes a pale grid, no box, and legends without a frame.

    What shows an image, or has no ticks, stays as it is.
    """
    for axes in figure.get_axes():
        if (legend := axes.get_legend()) is not None:
            legend.set_frame_on(False)
        if not axes.images and axes.get_xticks().size:
            axes.set_axisbelow(True)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)


def save(figure, stem: pathlib.Path) -> pathlib.Path:
    """Writes a figure as PNG, SVG and PDF, the same bytes each time.

    Args:
        figure: Drawn.
        stem: Path without its ending.

    Returns:
        The PNG.
    """
    polish(figure)
    same = dict(svg=dict(Date=None), pdf=dict(CreationDate=None), png=None)
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in FORMATS]
    with matplotlib.rc_context({"svg.hashsalt": "dynsparse"}):
        for ending, path in zip(FORMATS, paths, strict=True):
            with atomic_write(path) as file:
                figure.savefig(file, dpi=150, format=ending, metadata=same[ending])
    return paths[0]
