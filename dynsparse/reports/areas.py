"""Areas under accuracy against cost, where methods can be compared at equal costs."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from dynsparse.reports.chance import (
    Interval,
    decide,
    mean_interval,
    p_in_words,
    paired_differences,
)
from dynsparse.reports.markup import Row, markdown_table, with_half
from dynsparse.reports.points import BySeed, Cost, Point, curves
from dynsparse.reports.tradeoff import Curve, area, common_range

_OF = dict(macs="FLOPs", time="time of a batch")


def areas(points: Sequence[Point], cost: Cost = "macs") -> list[str]:
    """Returns a table of the areas over the costs that all methods reach, in words.

    A method without a curve in each of its seeds, such as the dense network alone, is
    left out.

    Args:
        points: Of all methods.
        cost: What accuracy is against; MACs and FLOPs have the same areas.
    """
    found = areas_by_method(points, cost)
    if found is None:
        return [f"No area against {_OF[cost]}: no range of it is common to the curves."]
    over, intervals = found
    rows: list[Row] = [
        {
            "method": method,
            "area (%)": with_half(interval.mean, interval.half, ".2f"),
            "seeds": interval.number,
        }
        for method, interval in intervals.items()
    ]
    return [
        f"Area under accuracy against {_OF[cost]}: the mean accuracy of the curve, "
        f"linear between its points, from {over[0]:.3f} to {over[1]:.3f} of those of "
        f"the dense network, which all of these reach.",
        markdown_table(rows, ["method", "area (%)", "seeds"]),
    ]


def areas_by_method(
    points: Sequence[Point], cost: Cost = "macs"
) -> tuple[tuple[float, float], dict[str, Interval]] | None:
    """Returns the costs that all methods reach and the area of each over them, in %.

    None if no range of costs is common to them. Arguments and who is left out: as of
    `areas`.
    """
    found = {
        method: seeds
        for method, seeds in curves(points, cost).items()
        if min(map(len, seeds.values())) > 1
    }
    over = common_range([curve for seeds in found.values() for curve in seeds.values()])
    if over is None:
        return None
    return over, {
        method: mean_interval([100 * area(curve, *over) for curve in seeds.values()])
        for method, seeds in found.items()
    }


def area_differences(
    points: Sequence[Point],
    reference: str,
    others: Collection[str],
    cost: Cost = "macs",
) -> list[str]:
    """Returns, in words, whether the curve of one method lies above each other one.

    Each pair is compared over the costs that both reach, so that a third one need not
    reach them: the difference of their areas, paired by seed. The p of the t test is
    corrected by Holm over the others.

    Args:
        points: Of all methods.
        reference: The method that is compared.
        others: What it is compared with.
        cost: As of `areas`.
    """
    found = curves(points, cost)
    pairs = {
        (other, over): pair
        for other in others
        for over, pair in _areas(found.get(reference, {}), found.get(other, {}))
    }
    lines = [
        f"- against {other} over {low:.3f} to {high:.3f}: {decide(gap.mean, p)}, "
        f"{with_half(100 * gap.mean, 100 * gap.half, '+.2f')} points (p by Holm: "
        f"{p_in_words(p)})"
        for (other, (low, high)), (gap, p) in paired_differences(pairs).items()
    ]
    compared = {other for other, _ in pairs}
    lines += [
        f"- against {other}: nothing in common"
        for other in others
        if other not in compared
    ]
    return [
        f"{reference}, mean accuracy less that of each other one over the {_OF[cost]} "
        f"that both reach, as a fraction of the dense network, paired by seed:",
        "\n".join(lines),
    ]


def _areas(
    mine: Mapping[int, Curve], its: Mapping[int, Curve]
) -> Iterator[tuple[tuple[float, float], tuple[BySeed, BySeed]]]:
    """What is common to two methods, if anything is, and their areas over it."""
    seeds = sorted(mine.keys() & its.keys())
    over = common_range([some[seed] for some in (mine, its) for seed in seeds])
    if over is not None:
        of = lambda some: {seed: area(some[seed], *over) for seed in seeds}
        yield over, (of(mine), of(its))
