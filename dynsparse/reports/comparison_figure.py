"""The figure of a comparison: accuracy and time against MACs, every seed shown.

Lines of many methods lie on each other, and bands hide what is behind them: then a
third panel has a row for each curve, with its interval, and lines have no bands.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from matplotlib.figure import Figure

from dynsparse.reports.areas import areas_by_method
from dynsparse.reports.chance import Interval, mean_interval
from dynsparse.reports.curve import BUSY
from dynsparse.reports.palette import PALE, Stroke, strokes
from dynsparse.reports.points import DENSE, BySeed, Point, by_method
from dynsparse.reports.style import COLUMN

_MANY = 8  # curves that can be told apart


def draw_comparison(figure, points: Sequence[Point], baselines: Collection[str]):
    """Draws means as lines, intervals as bands, and every seed as a small marker.

    The axes reach over the seeds; a band that does not fit is cut off.

    Args:
        figure: A new matplotlib figure with a constrained layout, or a part of one.
        points: Of all methods.
        baselines: Methods to draw in grey.
    """
    ranking, styles = _ranked(points, baselines)
    if isinstance(figure, Figure):  # and no part of one
        figure.set_size_inches(11, 5.4)
    left, right, *more = figure.subplots(
        1, 3 if ranking else 2, gridspec_kw=dict(wspace=0.06)
    )
    right.plot([0, 1], [0, 1], color="0.75", linewidth=1, label="time = MACs")
    _draw_accuracy(left, points, baselines, styles, bands=ranking is None)
    times = lambda point: point.time
    _draw_methods(right, points, times, baselines, styles, bands=ranking is None)
    if ranking is not None:
        figure.figure.set_figwidth(15)  # of the whole, where this is a part
        _draw_ranking(more[0], *ranking, styles)
    right.set(xlabel="MACs / dense MACs", ylabel="time / dense time")
    clock = BUSY if any(point.busy for point in points) else "compact execution"
    right.set_title(f"Time against cost: {clock}", fontsize="medium")
    _reach_over(right, [0.0, *(t for point in points for t in point.time.values())])
    right.set_ylim(bottom=0)
    right.set_xlim(0, 1.05)
    handles, labels = _legend(right, styles)
    figure.legend(
        handles[1:] + handles[:1],
        labels[1:] + labels[:1],
        loc="outside lower center",
        ncols=min(5, len(labels)),
        frameon=False,
        fontsize=9,
    )


def draw_column(figure, points: Sequence[Point], baselines: Collection[str]) -> float:
    """Draws accuracy against cost, or the rows of many methods, in a paper's column.

    Args:
        figure: A new matplotlib figure with a constrained layout, or a part of one,
            whose size is then left to the caller.
        points: Of all methods.
        baselines: Methods to draw in grey.

    Returns:
        The height that it needs, in inches.
    """
    ranking, styles = _ranked(points, baselines)
    axes = figure.subplots()
    if ranking is not None:
        _draw_ranking(axes, *ranking, styles)
        height = 0.8 + 0.14 * len(ranking[1])
    else:
        _draw_accuracy(axes, points, baselines, styles, bands=True)
        found = _legend(axes, styles)
        figure.legend(*found, loc="outside lower center", ncols=2, frameon=False)
        height = 2.5 + 0.07 * len(found[1])
    if isinstance(figure, Figure):
        figure.set_size_inches(COLUMN, height)
    return height


def _ranked(points: Sequence[Point], baselines: Collection[str]):
    """The areas of many methods, None for few, and how each method is drawn."""
    ranking = areas_by_method(points)
    if ranking is not None and len(ranking[1]) <= _MANY:
        ranking = None
    best = ranking and sorted(ranking[1], key=lambda name: -ranking[1][name].mean)
    return ranking, strokes(list(by_method(points)), list(baselines), best)


def _draw_accuracy(
    axes,
    points: Sequence[Point],
    baselines: Collection[str],
    styles: Mapping[str, Stroke],
    *,
    bands: bool,
):
    percent = lambda point: {s: 100 * a for s, a in point.accuracy.items()}
    _draw_methods(axes, points, percent, baselines, styles, bands=bands)
    axes.set(xlabel="MACs / dense MACs", ylabel="test accuracy (%)")
    axes.set_title("Accuracy against cost", fontsize="medium")
    _reach_over(axes, [value for point in points for value in percent(point).values()])
    axes.set_xlim(0, 1.05)


def _draw_methods(
    axes,
    points: Sequence[Point],
    values: Callable[[Point], BySeed],
    baselines: Collection[str],
    styles: Mapping[str, Stroke],
    *,
    bands: bool,
):
    """Every method, the pale ones first and the baselines behind the others."""
    methods = by_method(points)
    place = lambda name: (styles[name].color != PALE, name not in baselines)
    for method in sorted(methods, key=place):
        found = methods[method]
        seen = [values(point) for point in found]
        _draw_method(axes, found, seen, styles[method], method, bands=bands)


def _legend(axes, styles: Mapping[str, Stroke]):
    """What is drawn, the many pale lines as one."""
    of_many = lambda name: styles[name].color == PALE
    found = list(zip(*axes.get_legend_handles_labels(), strict=True))
    pale = [pair for pair in found if pair[1] in styles and of_many(pair[1])]
    shown = [pair for pair in found if pair not in pale]
    if pale:
        shown.append((pale[0][0], f"{len(pale)} others"))
    return [handle for handle, _ in shown], [label for _, label in shown]


def _reach_over(axes, values: Sequence[float]):
    margin = 0.06 * (max(values) - min(values)) or 1.0
    axes.set_ylim(min(values) - margin, max(values) + margin)


def _draw_ranking(
    axes,
    over: tuple[float, float],
    intervals: Mapping[str, Interval],
    styles: Mapping[str, Stroke],
):
    """A row per method: its mean accuracy over these costs, the best one on top."""
    ranked = sorted(intervals, key=lambda method: intervals[method].mean)
    for row, method in enumerate(ranked):
        interval, style = intervals[method], styles[method]
        axes.errorbar(
            interval.mean,
            row,
            xerr=interval.half if interval.number > 1 else None,
            fmt=style.marker,
            color=style.color,
            markersize=6.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
    axes.set_yticks(range(len(ranked)), ranked, fontsize="small")
    axes.set_xlabel("test accuracy (%)")
    title = "Mean from {:.2f} to {:.2f} of the MACs".format(*over)
    axes.set_title(title, fontsize="medium")


def _draw_method(
    axes,
    points: Sequence[Point],
    values: Sequence[BySeed],
    style: Stroke,
    name: str,
    *,
    bands: bool,
):
    macs = [point.mean_macs for point in points]
    intervals = [mean_interval(list(value.values())) for value in values]
    means = [interval.mean for interval in intervals]
    look = dict(color=style.color, marker=style.marker, markersize=6.5, label=name)
    known = [
        (x, interval.mean - interval.half, interval.mean + interval.half)
        for x, interval in zip(macs, intervals, strict=True)
        if interval.number > 1
    ]
    for point, value in zip(points, values, strict=True):
        seeds = [point.macs[seed] for seed in value]
        axes.plot(
            seeds,
            list(value.values()),
            style.marker,
            color=style.color,
            markersize=3,
            alpha=0.45,
            markeredgewidth=0,
        )
    if name == DENSE:  # a star, not a line
        look |= dict(marker="*", markersize=14, linestyle="none", zorder=5)
    else:
        look |= dict(linestyle=style.dashes, linewidth=1.6)
        look |= dict(markeredgecolor="white", markeredgewidth=0.6)
        if known and bands:
            axes.fill_between(*zip(*known, strict=True), color=style.color, alpha=0.15)
    axes.plot(macs, means, **look)
    # A band of one point is invisible.
    if known and (len(known) == 1 or name == DENSE):
        axes.vlines(*zip(*known, strict=True), color=style.color, linewidth=1.6)
