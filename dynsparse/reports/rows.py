"""Many things side by side: a row for each, where lines would lie on each other."""

import math
import statistics
from collections.abc import Mapping

from dynsparse.reports.style import BLUE

Spread = tuple[float, float, float]  # what is drawn as a dot, and the ends of its bar


def draw_rows(
    figure,
    panels: Mapping[str, Mapping[str, Spread]],
    colours: Mapping[str, str],
):
    """Draws positive numbers on a log axis, the least on top.

    Args:
        figure: A new matplotlib figure with a constrained layout.
        panels: By title, and there by the name of a row; what a panel lacks is left
            out of it.
        colours: Of rows by name; blue where there is none.
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
