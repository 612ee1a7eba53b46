"""Is it worth deciding for each input, or is it enough to prune once for all?

    python launch.py --sweep=experiments/per_input_or_static.py:full --workdir=DIR

Claim: gates that look at the input are more accurate at equal MACs than static pruning,
random gates and a narrower dense network (blocks: Veit and Belongie, 2018,
arXiv:1711.11503, and Wang et al., 2018, arXiv:1711.09485; channels: Gao et al., 2018,
arXiv:1810.05331). What would refute it: a unit for which the paired difference from the
best of these, over seeds, is not above 0.

Soft top-k gates of the same network, `conv_vit` on cluttered digits, over its tokens,
its blocks and the neurons of its MLPs; static pruning is the same gate with scores that
do not see the input.
"""

import sys
from collections.abc import Sequence

from dynsparse.reports import Report, Row, compare_in_groups
from experiments.alone import run_alone
from experiments.digits import SEEDS, caution, digits, narrower

UNITS = dict(small=("tokens", "blocks"), full=("tokens", "blocks", "neurons"))
BUDGETS = dict(small=(0.35, 0.55), full=(0.35, 0.55, 0.75))
ARMS = dict(per_input="soft_topk", static="static", random="random_topk")
BASELINES = {
    "dense": "dense network",
    "random": "random gates",
    "static": "static pruning",
    "narrower": "narrower dense network",
}


def sweep(add, size):
    """One run per unit, way to choose and seed; the dense networks once for all."""
    for seed in SEEDS[size]:
        run = digits(
            add, size, {"evaluation.densities": (0.35, 0.6), "evaluation.budgets": ()}
        )
        run("dense", "dense", "whole", seed)
        for budget in BUDGETS[size]:
            run("narrower", "dense", f"budget {budget:g}", seed, **narrower(budget))
        for unit in UNITS[size]:
            for arm, method in ARMS.items():
                run(arm, method, unit, seed, model__granularity=unit)


def report(rows: Sequence[Row]) -> Report:
    """A comparison per unit."""
    units = {unit for sizes in UNITS.values() for unit in sizes}
    unit_of = lambda row: row["setting"] if row["setting"] in units else None
    return compare_in_groups(
        rows, unit_of, by="unit", baselines=BASELINES, notes=caution(rows)
    )


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
