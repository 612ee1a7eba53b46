"""The figure of a comparison: accuracy and time against MACs, every seed shown."""

from collections.abc import Collection, Sequence

from matplotlib.figure import Figure

from dynsparse.reports.chance import mean_interval
from dynsparse.reports.palette import Stroke, strokes
from dynsparse.reports.points import DENSE, BySeed, Point, by_method


def draw_comparison(figure, points: Sequence[Point], baselines: Collection[str]):
    """Draws means as lines, intervals as bands, and every seed as a small marker.

    Args:
        figure: A new matplotlib figure with a constrained layout, or a part of one.
        points: Of all methods.
        baselines: Methods to draw in grey.
    """
    methods = by_method(points)
    if isinstance(figure, Figure):  # and no part of one
        figure.set_size_inches(11, 5.4)
    left, right = figure.subplots(1, 2, gridspec_kw=dict(wspace=0.06))
    right.plot([0, 1], [0, 1], color="0.75", linewidth=1, label="time = MACs")
    styles = strokes(list(methods), list(baselines))
    for method in sorted(methods, key=lambda name: name not in baselines):
        found, style = methods[method], styles[method]
        percent = [_percent(point.accuracy) for point in found]
        _draw_method(left, found, percent, style, method)
        _draw_method(right, found, [point.time for point in found], style, method)
    left.set(xlabel="MACs / dense MACs", ylabel="test accuracy (%)")
    left.set_title("Accuracy against cost", fontsize=10)
    right.set(xlabel="MACs / dense MACs", ylabel="time / dense time")
    right.set_title("Compact execution on the clock", fontsize=10)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlim(0, 1.05)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = right.get_legend_handles_labels()
    figure.legend(
        handles[1:] + handles[:1],
        labels[1:] + labels[:1],
        loc="outside lower center",
        ncols=min(5, len(labels)),
        frameon=False,
        fontsize=9,
    )


def _draw_method(
    axes, points: Sequence[Point], values: Sequence[BySeed], style: Stroke, name: str
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
        if known:
            axes.fill_between(*zip(*known, strict=True), color=style.color, alpha=0.15)
    axes.plot(macs, means, **look)
    # A band of one point is invisible.
    if known and (len(known) == 1 or name == DENSE):
        axes.vlines(*zip(*known, strict=True), color=style.color, linewidth=1.6)


def _percent(values: BySeed) -> BySeed:
    return {seed: 100 * value for seed, value in values.items()}
