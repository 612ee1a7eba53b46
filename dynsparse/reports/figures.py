"""One style for every figure: colours, markers, intervals, legends, and files.

Colours and markers survive colour blindness and a grey printer.
"""

import itertools
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.ticker import PercentFormatter

from dynsparse._internal.atomic_write import atomic_write
from dynsparse.reports.stats import Interval, Row, grouped

BLUE, ORANGE, GREY, PALE_BLUE = "#0072B2", "#D55E00", "0.55", "#56B4E9"
PALE = "0.8"  # one of many
DENSE = "dense"  # the method that is a star: the largest network, run in full
PAGE = 10.0  # inches: the width of a page on its side
COLOURS = (  # Okabe and Ito, 2008, without black and pale yellow; two of Tol, 2021
    *(BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", PALE_BLUE),
    *("#882255", "#999933"),
)
_LABELS = dict(
    **dict.fromkeys(("accuracy", "area"), "test accuracy"),
    **dict.fromkeys(("budget", "macs", "macs_ratio"), "MACs / dense MACs"),
    **dict.fromkeys(("time", "time_ratio"), "time / dense time"),
)
_ACROSS = 5  # panels at most
_SHARES = ("accuracy", "area", "gap", "error", "in_time")  # are written in per cent
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
    """
    greys = zip(*map(itertools.cycle, (_GREYS, _GREY_MARKERS, _DASHES)), strict=False)
    looks = zip(*map(itertools.cycle, (COLOURS, _MARKERS)), strict=False)
    grey = {name: Stroke(*look) for name, look in zip(baselines, greys, strict=False)}
    if DENSE in grey:
        grey[DENSE] = Stroke("0.0", "*")
    chosen = [name for name in best or methods if name not in grey][: len(COLOURS)]
    coloured = {m: Stroke(*next(looks)) for m in methods if m in chosen}
    return {m: grey.get(m) or coloured.get(m, Stroke(PALE, ".")) for m in methods}


def draw_panels(
    figure,
    rows: Sequence[Row],
    *,
    x: str | Sequence[str],
    y: str | Sequence[str],
    hue: str,
    panel: str | None = None,
    baselines: Sequence[str] = (),
    labels: Mapping[str, str] = MappingProxyType({}),
    share: bool = False,
) -> list[Any]:
    """Draws rows in panels: one per value of a column, and per pair of axes.

    A value is a number, an `Interval`, a triple of low end, middle and high end, or a
    word; words stand at even distances, in the order of the rows.

    Args:
        figure: A new figure with a constrained layout.
        rows: With a value for each of the columns.
        x: Column of the horizontal axis, or several.
        y: Column of the vertical axis, or several.
        hue: Column that tells lines apart, the names of the legend.
        panel: Column that tells panels apart, their titles.
        baselines: Hues to draw in grey.
        labels: What axes say in place of the name of a column.
        share: Whether all panels have the same axes.

    Returns:
        The panels.

    Example:
        >>> from matplotlib.figure import Figure
        >>> row = dict(gate="a", budget=0.5, accuracy=(0.8, 0.9, 0.95))
        >>> (axes,) = reports.draw_panels(
        ...     Figure(), [row], x="budget", y="accuracy", hue="gate"
        ... )
        >>> axes.get_ylabel(), axes.lines[0].get_ydata()
        ('test accuracy', array([0.9]))
    """
    several = lambda names: [names] if isinstance(names, str) else list(names)
    columns = list(itertools.product(several(x), several(y)))
    parts = grouped(rows, itemgetter(panel)) if panel else {"": list(rows)}
    number = len(parts) * len(columns)
    high = math.ceil(number / min(max(len(parts), len(columns)), _ACROSS))
    wide = math.ceil(number / high)
    looks = strokes(list(dict.fromkeys(row[hue] for row in rows)), baselines)
    words = {name: _words(rows, name) for pair in columns for name in pair}
    inches = 4.6 if wide < 3 else 2.6
    tall = 1.2 + 0.22 * max(len(words[name]) for _, name in columns)
    figure.set_size_inches(max(PAGE, inches * wide), 1 + high * max(0.8 * inches, tall))
    grid = figure.subplots(high, wide, sharex=share, sharey=share, squeeze=False)
    grid = grid.flatten()
    for axes, (pair, title) in zip(
        grid, itertools.product(columns, parts), strict=False
    ):
        errorbars(
            axes, parts[title], *pair, hue, looks=looks, words=words, labels=labels
        )
        axes.set_title(title, fontsize="medium")
        if share:
            axes.label_outer()
    for axes in grid[number:]:
        axes.set_visible(False)
    return list(grid[:number])


def errorbars(
    axes,
    rows: Sequence[Row],
    x: str,
    y: str,
    hue: str,
    *,
    looks: Mapping[str, Stroke],
    words: Mapping[str, Sequence[str]] | None = None,
    labels: Mapping[str, str] = MappingProxyType({}),
):
    """Draws rows as markers with bars: joined over numbers, side by side over words.

    Args:
        axes: Panel to draw on.
        rows: As of `draw_panels`.
        x: As of `draw_panels`.
        y: As of `draw_panels`.
        hue: As of `draw_panels`.
        looks: Strokes by hue.
        words: Words by column, in their order; those of the rows by default.
        labels: As of `draw_panels`.
    """
    words = words or {name: _words(rows, name) for name in (x, y)}
    spoken = words[x] or words[y]
    crowded = spoken and len(rows) > len(spoken)
    beside = min(0.1, 0.6 / max(len(looks) - 1, 1))  # of the distance of two words
    for name, some in grouped(rows, itemgetter(hue)).items():
        look, place = looks[name], list(looks).index(name)
        shift = beside * (place - (len(looks) - 1) / 2) if crowded else 0.0
        (x_bars, x_at), (y_bars, y_at) = (
            _bars(
                words[axis].index(row[axis]) + shift if words[axis] else row[axis]
                for row in some
            )
            for axis in (x, y)
        )
        order = np.argsort(x_at, kind="stable")
        axes.errorbar(
            x_at[order],
            y_at[order],
            xerr=None if np.isnan(x_bars).all() else x_bars[:, order],
            yerr=None if np.isnan(y_bars).all() else y_bars[:, order],
            label=name,
            capsize=2.5,
            markersize=13 if look.marker == "*" else 6,
            markeredgecolor="white",
            markeredgewidth=0.5,
            **look._asdict() | (dict(linestyle="none") if spoken else {}),
        )
    for axis, name in ((axes.xaxis, x), (axes.yaxis, y)):
        axis.set_label_text((_LABELS | {**labels}).get(name, name))
        if name in _SHARES:
            axis.set_major_formatter(PercentFormatter(1.0))
        if words[name]:
            axis.set_ticks(range(len(words[name])), words[name], fontsize="small")


def _words(rows: Sequence[Row], name: str) -> list[str]:
    """Different words of a column in their order; none for one of numbers."""
    found = dict.fromkeys(row[name] for row in rows)
    return list(found) if all(isinstance(value, str) for value in found) else []


def _bars(values: Iterable[Any]) -> tuple[np.ndarray, np.ndarray]:
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
    margin = max(0.1 * (high - low), (least - (high - low)) / 2) or 0.01
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
