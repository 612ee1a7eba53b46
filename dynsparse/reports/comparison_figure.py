"""The figure of a comparison: accuracy and time against MACs, every seed shown.

Lines of many methods lie on each other, and bands hide what is behind them: then a
third panel has a row for each curve, with its interval, and lines have no bands.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from matplotlib.figure import Figure

from dynsparse.reports import figures, runs, stats, tradeoff
from dynsparse.reports.figures import Stroke
from dynsparse.reports.stats import BySeed, Interval
from dynsparse.reports.tradeoff import Point

_MANY = 8  # curves that can be told apart
_EDGE = dict(markersize=6.5, markeredgecolor="white", markeredgewidth=0.6)

Looks = Mapping[str, Stroke]
Ranking = tuple[tuple[float, float], dict[str, Interval]]


def draw_comparison(figure, points: Sequence[Point], baselines: Collection[str]):
    """Draws means as lines, intervals as bands, and every seed as a small marker.

    The axes reach over the seeds; a band that does not fit is cut off.

    Args:
        figure: A new matplotlib figure with a constrained layout, or a part of one.
        points: Points of all methods.
        baselines: Methods to draw in grey.
    """
    ranking, looks = _ranked(points, baselines)
    if isinstance(figure, Figure):  # and no part of one
        figure.set_size_inches(11, 5.4)
    left, right, *more = figure.subplots(
        1, 3 if ranking else 2, gridspec_kw=dict(wspace=0.06)
    )
    right.plot([0, 1], [0, 1], color="0.75", linewidth=1, label="time = MACs")
    _draw_accuracy(left, points, baselines, looks, bands=ranking is None)
    time = lambda point: point.time
    _draw_methods(right, points, time, baselines, looks, bands=ranking is None)
    if ranking is not None:
        figure.figure.set_figwidth(15)  # of the whole, where this is a part
        _draw_ranking(more[0], ranking, looks)
    clock = runs.BUSY if any(point.busy for point in points) else "compact execution"
    right.set(xlabel="MACs / dense MACs", ylabel="time / dense time", xlim=(0, 1.05))
    right.set_title(f"Time against cost: {clock}", fontsize="medium")
    _reach_over(right, [0.0, *(t for point in points for t in point.time.values())])
    right.set_ylim(bottom=0)
    (first, *handles), (diagonal, *labels) = _legend(right, looks)
    labels += [diagonal]
    figure.legend(
        [*handles, first],
        labels,
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
        points: Points of all methods.
        baselines: Methods to draw in grey.

    Returns:
        The height that it needs, in inches.
    """
    ranking, looks = _ranked(points, baselines)
    axes = figure.subplots()
    if ranking is not None:
        _draw_ranking(axes, ranking, looks)
        height = 0.8 + 0.14 * len(ranking[1])
    else:
        _draw_accuracy(axes, points, baselines, looks, bands=True)
        found = _legend(axes, looks)
        figure.legend(*found, loc="outside lower center", ncols=2, frameon=False)
        height = 2.5 + 0.07 * len(found[1])
    if isinstance(figure, Figure):
        figure.set_size_inches(figures.COLUMN, height)
    return height


def _ranked(
    points: Sequence[Point], baselines: Collection[str]
) -> tuple[Ranking | None, Looks]:
    """The areas of many methods, None for few, and how each method is drawn."""
    ranking = tradeoff.areas_by_method(points)
    if ranking is not None and len(ranking[1]) <= _MANY:
        ranking = None
    best = ranking and sorted(ranking[1], key=lambda name: -ranking[1][name].mean)
    return ranking, figures.strokes(
        list(tradeoff.by_method(points)), list(baselines), best
    )


def _draw_accuracy(axes, points, baselines, looks: Looks, *, bands: bool):
    percent = lambda point: {s: 100 * a for s, a in point.accuracy.items()}
    _draw_methods(axes, points, percent, baselines, looks, bands=bands)
    axes.set(xlabel="MACs / dense MACs", ylabel="test accuracy (%)", xlim=(0, 1.05))
    axes.set_title("Accuracy against cost", fontsize="medium")
    _reach_over(axes, [value for point in points for value in percent(point).values()])


def _draw_methods(
    axes,
    points: Sequence[Point],
    values: Callable[[Point], BySeed],
    baselines: Collection[str],
    looks: Looks,
    *,
    bands: bool,
):
    """Every method, the pale ones first and the baselines behind the others."""
    methods = tradeoff.by_method(points)
    place = lambda name: (looks[name].color != figures.PALE, name not in baselines)
    for method in sorted(methods, key=place):
        seen = {point: values(point) for point in methods[method]}
        _draw_method(axes, seen, looks[method], method, bands=bands)


def _draw_method(
    axes,
    seen: Mapping[Point, BySeed],
    look: Stroke,
    name: str,
    *,
    bands: bool,
):
    color, macs = look.color, [point.mean_macs for point in seen]
    for point, value in seen.items():
        seeds, small = [point.macs[seed] for seed in value], dict(markersize=3)
        small |= dict(color=color, alpha=0.45, markeredgewidth=0)
        axes.plot(seeds, list(value.values()), look.marker, **small)
    found = [stats.mean_interval(list(value.values())) for value in seen.values()]
    known = [
        (x, interval.mean - interval.half, interval.mean + interval.half)
        for x, interval in zip(macs, found, strict=True)
        if interval.number > 1
    ]
    style = dict(linestyle=look.dashes, linewidth=1.6, marker=look.marker, **_EDGE)
    if name == tradeoff.DENSE:  # a star, not a line
        style = dict(marker="*", markersize=14, linestyle="none", zorder=5)
    axes.plot(macs, [i.mean for i in found], color=color, label=name, **style)
    if known and bands and name != tradeoff.DENSE:
        axes.fill_between(*zip(*known, strict=True), color=color, alpha=0.15)
    if known and (
        len(known) == 1 or name == tradeoff.DENSE
    ):  # a band of one is invisible
        axes.vlines(*zip(*known, strict=True), color=color, linewidth=1.6)


def _draw_ranking(axes, ranking: Ranking, looks: Looks):
    """A row per method: its mean accuracy over these costs, the best one on top."""
    over, intervals = ranking
    ranked = sorted(intervals, key=lambda method: intervals[method].mean)
    for row, method in enumerate(ranked):
        interval, look = intervals[method], looks[method]
        half = interval.half if interval.number > 1 else None
        style = dict(fmt=look.marker, color=look.color, **_EDGE)
        axes.errorbar(interval.mean, row, xerr=half, **style)
    axes.set_yticks(range(len(ranked)), ranked, fontsize="small")
    axes.set_xlabel("test accuracy (%)")
    title = "Mean from {:.2f} to {:.2f} of the MACs".format(*over)
    axes.set_title(title, fontsize="medium")


def _legend(axes, looks: Looks):
    """Handles and labels of what is drawn, the many pale lines as one."""
    found = list(zip(*axes.get_legend_handles_labels(), strict=True))
    pale = [p for p in found if p[1] in looks and looks[p[1]].color == figures.PALE]
    shown = [pair for pair in found if pair not in pale]
    shown += [(pale[0][0], f"{len(pale)} others")] if pale else []
    return [handle for handle, _ in shown], [label for _, label in shown]


def _reach_over(axes, values: Sequence[float]):
    margin = 0.06 * (max(values) - min(values)) or 1.0
    axes.set_ylim(min(values) - margin, max(values) + margin)
