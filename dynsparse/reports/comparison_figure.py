"""The figure of a comparison: accuracy and time against MACs, every seed shown.

Lines of many methods lie on each other, and their bars hide what is behind them: then a
third panel has a row for each curve, with its interval, and lines have no bars.
"""

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from dynsparse.reports import figures, runs, tradeoff
from dynsparse.reports.figures import Stroke
from dynsparse.reports.stats import Row, grouped

_MANY = 8  # curves that can be told apart
_PANEL = (5.0, 4.6)  # inches


def draw_comparison(
    figure, groups: Mapping[str, Sequence[Row]], baselines: Collection[str]
):
    """Draws means as lines with their intervals, and every seed as a small marker.

    The axes reach over the seeds; a bar that does not fit is cut off.

    Args:
        figure: A new matplotlib figure with a constrained layout.
        groups: Points of all methods, by the name of their group, which may be empty.
        baselines: Methods to draw in grey.
    """
    strips = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
    panels = []
    for strip, (name, points) in zip(strips, groups.items(), strict=True):
        panels.append(_draw_strip(strip, points, baselines))
        if name:
            strip.suptitle(name, fontsize="large")
    width, height = _PANEL
    figure.set_size_inches(width * max(panels), height * len(groups))


def _draw_strip(strip, points: Sequence[Row], baselines: Collection[str]) -> int:
    """Draws the panels of one group, and returns their number."""
    methods = list(dict.fromkeys(point["method"] for point in points))
    over, areas = tradeoff.areas_by_method(points) or ((0.0, 0.0), {})
    best = sorted(areas, key=lambda method: -areas[method].mean)
    if len(best) <= _MANY:
        best = []
    looks = figures.strokes(methods, list(baselines), best)
    pale = [name for name in methods if looks[name].color == figures.PALE]
    others = f"{len(pale)} others"
    told = {name: others if name in pale else name for name in methods}
    looks |= {others: Stroke(figures.PALE, ".")}
    left, right, *more = strip.subplots(1, 3 if best else 2)

    lines = grouped(points, itemgetter("method"))
    behind = lambda method: (method not in pale, method not in baselines)
    for axes, value in ((left, "accuracy"), (right, "time")):
        for method in sorted(lines, key=behind):
            seeds = [(point["macs"], point[value]) for point in lines[method]]
            look = looks[method]
            small = dict(markersize=3, alpha=0.45, markeredgewidth=0)
            axes.plot(*zip(*seeds, strict=True), look.marker, color=look.color, **small)
            means = [
                {"macs": row["macs"].mean, "of": told[method]}
                | {value: row[value].mean if best else row[value]}
                for row in tradeoff.means(lines[method])
            ]
            figures.errorbars(axes, means, "macs", value, "of", looks=looks)
        figures.fit(axes, [point[value] for point in points])
        axes.set_xlim(0, 1.05)
    left.set_title("Accuracy against cost", fontsize="medium")
    clock = runs.BUSY if any(point["busy"] for point in points) else "compact execution"
    right.set_title(f"Time against cost: {clock}", fontsize="medium")
    right.plot([0, 1], [0, 1], color="0.75", linewidth=1, label="time = MACs", zorder=0)
    right.set_ylim(bottom=0)
    if best:
        rows = [dict(method=m, area=areas[m], of=told[m]) for m in reversed(best)]
        figures.errorbars(
            more[0], rows, "area", "method", "of", looks=looks, labels=dict(method="")
        )
        title = "Mean from {:.2f} to {:.2f} of the MACs".format(*over)
        more[0].set_title(title, fontsize="medium")
    return 2 + len(more)
