"""One style for every figure: colours, markers, intervals, legends, and files.

Colours and markers survive colour blindness and a grey printer.
"""

import itertools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports.stats import Interval, Row

BLUE, ORANGE, GREY, PALE_BLUE = "#0072B2", "#D55E00", "0.55", "#56B4E9"
PALE = "0.8"  # one of many
DENSE = "dense"  # the method that is a star: the largest network, run in full
PAGE = 10.0  # inches: the width of a page on its side
COLOURS = (  # Okabe and Ito, 2008, without black and pale yellow; two of Tol, 2021
    *(BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", PALE_BLUE),
    *("#882255", "#999933"),
)
_MARKERS = "os^vDPh"  # seven to eight colours: 56 strokes before one comes again
_GREYS = ("0.0", "0.45", "0.3", "0.6")
_GREY_MARKERS = "<>dXp"
_DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (3, 1, 1, 1, 1, 1)))


class Stroke(NamedTuple):
    """Colour, marker and line style of a method; markers differ for print in grey."""

    color: str
    marker: str
    linestyle: Any = "solid"


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
    if DENSE in grey:
        grey[DENSE] = Stroke("0.0", "*")
    chosen = [name for name in best or methods if name not in grey][: len(COLOURS)]
    coloured = {m: Stroke(*next(looks)) for m in methods if m in chosen}
    return {m: grey.get(m) or coloured.get(m, Stroke(PALE, ".")) for m in methods}


def errorbars(
    axes,
    rows: Sequence[Row],
    x: str,
    y: str,
    hue: str,
    *,
    looks: Mapping[str, Stroke] | None = None,
    scale: float = 1.0,
    **labels: Any,
):
    """Draws rows as markers with bars: joined over numbers, side by side over words.

    A value is a number, an `Interval`, a triple of low end, middle and high end, or a
    word; words stand at even distances.

    Args:
        axes: Panel to draw on.
        rows: With a value for each of the three columns.
        x: Column of the horizontal axis.
        y: Column of the vertical axis.
        hue: Column that tells lines apart, the names of the legend.
        looks: Strokes by hue; in colour by default.
        scale: Factor of `y`, 100 for per cent.
        **labels: What `axes.set` takes, such as `xlabel`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> axes = Figure().subplots()
        >>> row = dict(gate="a", budget=0.5, accuracy=(0.8, 0.9, 0.95))
        >>> reports.errorbars(axes, [row], "budget", "accuracy", "gate", scale=100.0)
        >>> axes.lines[0].get_ydata()
        array([90.])
    """
    hues = list(dict.fromkeys(row[hue] for row in rows))
    looks = looks or strokes(hues)
    words = {
        axis: list(dict.fromkeys(row[axis] for row in rows))
        for axis in (x, y)
        if any(isinstance(row[axis], str) for row in rows)
    }
    crowded = any(len(rows) > len(found) for found in words.values())
    beside = min(0.1, 0.6 / max(len(hues) - 1, 1))  # of the distance of two words
    for index, name in enumerate(hues):
        some = [row for row in rows if row[hue] == name]
        shift = beside * (index - (len(hues) - 1) / 2) if crowded else 0.0
        place = lambda row, axis, shift=shift: (
            words[axis].index(row[axis]) + shift if axis in words else row[axis]
        )
        (x_bars, x_at), (y_bars, y_at) = (
            _bars([place(row, axis) for row in some]) for axis in (x, y)
        )
        order = slice(None) if words else np.argsort(x_at, kind="stable")
        axes.errorbar(
            x_at[order],
            scale * y_at[order],
            xerr=None if np.isnan(x_bars).all() else x_bars[:, order],
            yerr=None if np.isnan(y_bars).all() else scale * y_bars[:, order],
            label=name,
            capsize=2.5,
            markersize=13 if looks[name].marker == "*" else 6,
            markeredgecolor="white",
            markeredgewidth=0.5,
            **looks[name]._asdict() | (dict(linestyle="none") if words else {}),
        )
    if x in words:
        axes.set_xticks(range(len(words[x])), words[x])
    if y in words:
        axes.set_yticks(range(len(words[y])), words[y], fontsize="small")
    axes.set(**labels)


def _bars(values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Lengths below and above, nan for none, and middles."""
    ends = []
    for value in values:
        if isinstance(value, Interval):
            ends.append((value.half, value.mean, value.half))
        elif isinstance(value, tuple):
            low, middle, high = value
            ends.append((middle - low, middle, high - middle))
        else:
            ends.append((np.nan, value, np.nan))
    low, middle, high = np.transpose(ends)
    return np.array([low, high]), middle


def fit(axes, values: Iterable[float], *, least: float = 0.0):
    """Sets the y axis to the values and a margin, but to a span of `least` or more."""
    found = list(values)
    low, high = min(found), max(found)
    margin = max(0.1 * (high - low), (least - (high - low)) / 2) or 1.0
    axes.set_ylim(low - margin, high + margin)


def save(figure, stem: pathlib.Path) -> pathlib.Path:
    """Writes a figure in the house style as PNG, SVG and PDF, the same bytes each time.

    All axes have a pale grid and no box, except those that show an image. What has
    labels and no legend gets one: below the figure or the part of it, or beside one
    that has a label there.

    Args:
        figure: Drawn.
        stem: Path without its ending.

    Returns:
        The PNG.
    """
    for part in figure.subfigs or [figure]:
        _polish(part)
    same = dict(svg=dict(Date=None), pdf=dict(CreationDate=None), png=None)
    paths = {ending: stem.with_name(f"{stem.name}.{ending}") for ending in same}
    with matplotlib.rc_context({"svg.hashsalt": "dynsparse"}):
        for ending, path in paths.items():
            with atomic_write(path) as file:
                figure.savefig(file, dpi=150, format=ending, metadata=same[ending])
    return paths["png"]


def _polish(part):
    told: dict[str, Any] = {}
    for axes in part.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            told.setdefault(label, handle)
        if not axes.images and axes.get_xticks().size:
            axes.set_axisbelow(True)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
    if told and not any(axes.get_legend() for axes in part.axes):
        beside = bool(part.get_supxlabel())
        part.legend(
            told.values(),
            told.keys(),
            loc="outside right center" if beside else "outside lower center",
            ncols=1 if beside else min(5, len(told)),
            frameon=False,
            fontsize=9,
        )
