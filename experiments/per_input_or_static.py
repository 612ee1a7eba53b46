"""Is it worth deciding for each input, or is it enough to prune once for all?

    python launch.py sweep experiments/per_input_or_static.py:full --workdir=DIR

Claim: gates that look at the input are more accurate at equal MACs than static pruning,
random gates and a narrower dense network (blocks: Veit and Belongie, 2018,
arXiv:1711.11503, and Wang et al., 2018, arXiv:1711.09485; channels: Gao et al., 2018,
arXiv:1810.05331). What would refute it: a unit for which the paired difference from the
best of these, over seeds, is not above 0.

The same network, `conv_vit` on cluttered digits, gated by its tokens, by the neurons of
its MLPs (soft top-k, one any-budget model each) or by its blocks (Gumbel-sigmoid, one
model per budget). Static pruning is the same gate with scores that ignore the input; of
blocks it leaves a shallower dense network, and is that one, trained as such.
"""

from collections.abc import Sequence

from dynsparse.reports import Report, area_differences, compare_methods, read_points
from dynsparse.reports.stats import Row
from .digits import BASELINES, SEEDS, Add, add_dense, digits, finely, pi_controller

UNITS = dict(small=("tokens", "blocks"), full=("tokens", "neurons", "blocks"))
BUDGETS = dict(small=(0.35, 0.55), full=(0.35, 0.55, 0.75))
DENSITIES = (0.25, 0.375, 0.625, 0.75)  # of any-budget models
DEPTHS = (1, 2)  # of 3: all that static pruning of blocks can leave
ADVANTAGE = (
    "Narrower networks train for one width each, and what skips blocks for one budget; "
    "what skips other units once for all budgets, in as many steps, be it learned, "
    "random or static: against narrower networks that is a handicap."
)
FLOOR = 0.133  # of the dense MACs: what no gate of blocks can close


def sweep(add, size):
    """The ways to choose by unit, budget where they need one, and seed."""
    run = digits(
        add, size, {"evaluation.densities": DENSITIES, "evaluation.budgets": ()}
    )
    for seed in SEEDS[size]:
        add_dense(run, size, seed)
        for unit in UNITS[size]:
            if unit == "blocks":
                _add_blocks(run, BUDGETS[size], seed)
            else:
                _add_units(run, unit, size, seed)


def _add_units(run: Add, unit: str, size: str, seed: int):
    gated = dict(model__granularity=unit)
    run("per_input", "soft_topk", unit, seed, **gated)
    for arm, method in dict(static="static", random="random_topk").items():
        run(arm, method, unit, seed, **gated, **finely(size))


def _add_blocks(run: Add, budgets: Sequence[float], seed: int):
    gate, blocks = "gumbel_sigmoid,,pi_controller", dict(model__granularity="blocks")
    for budget in budgets:
        setting, held = f"blocks, {budget:g}", blocks | pi_controller(budget)
        run("per_input", gate, setting, seed, **held)
        opened = round((budget - FLOOR) / (1 - FLOOR), 3)
        fixed = dict(budget__density=opened)
        run("random", "random_bernoulli", setting, seed, **blocks, **fixed)
    for depth in DEPTHS:
        run("static", "dense", f"blocks, depth {depth}", seed, model__depth=depth)


def report(rows: Sequence[Row]) -> Report:
    """A comparison per unit: with the best baseline, and with each over a range."""
    notes = [ADVANTAGE]
    for unit in dict.fromkeys(filter(None, map(_unit, rows))):
        points = read_points([row for row in rows if _unit(row) in (unit, None)])
        found, _ = area_differences(points, "per_input", list(BASELINES)[1:])
        notes += [f"**{unit}**, {found[0]}", *found[1:]]
    return compare_methods(
        rows, baselines=BASELINES, notes=notes, group=_unit, by="unit"
    )


def _unit(row: Row) -> str | None:
    """What the network of a row skips; None for dense ones."""
    unit = row["setting"].split(",")[0]
    return None if unit == "whole" else unit
