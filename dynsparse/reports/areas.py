"""Areas under accuracy against cost, where methods can be compared at equal costs."""

from collections.abc import Sequence

from dynsparse.reports.chance import mean_interval
from dynsparse.reports.markup import Row, markdown_table, with_half
from dynsparse.reports.points import Cost, Point, curves
from dynsparse.reports.tradeoff import area, common_range

_OF = dict(macs="FLOPs", time="time of a batch")


def areas(points: Sequence[Point], cost: Cost = "macs") -> list[str]:
    """Returns a table of the areas over the costs that all methods reach, in words.

    A method without a curve in each of its seeds, such as the dense network alone, is
    left out.

    Args:
        points: Of all methods.
        cost: What accuracy is against; MACs and FLOPs have the same areas.
    """
    found = {
        method: seeds
        for method, seeds in curves(points, cost).items()
        if min(map(len, seeds.values())) > 1
    }
    over = common_range([curve for seeds in found.values() for curve in seeds.values()])
    if over is None:
        return [f"No area against {_OF[cost]}: no range of it is common to the curves."]
    rows: list[Row] = []
    for method, seeds in found.items():
        interval = mean_interval([100 * area(curve, *over) for curve in seeds.values()])
        words = with_half(interval.mean, interval.half, ".2f")
        rows.append({"method": method, "area (%)": words, "seeds": interval.number})
    return [
        f"Area under accuracy against {_OF[cost]}: the mean accuracy of the curve, "
        f"linear between its points, from {over[0]:.3f} to {over[1]:.3f} of those of "
        f"the dense network, which all of these reach.",
        markdown_table(rows, ["method", "area (%)", "seeds"]),
    ]
