"""Which unit to skip?

    python launch.py sweep experiments/granularity.py:full --workdir=DIR

Claim: where the object fills a part of the image, leaving out tokens is worth more
accuracy than leaving out blocks, heads or neurons, at equal MACs and at equal
milliseconds (Rao et al., 2021, arXiv:2106.02034, report it for tokens against narrower
networks). What would refute it: another unit with a higher area under either curve,
paired by seed, over the costs that both reach.

The same network, `conv_vit` on cluttered digits, gated by one kind of unit: soft top-k,
one any-budget model per unit and seed; blocks, which vary by example, by Gumbel-sigmoid
gates, one model per budget. Heads and neurons cannot close what tokens can, so that
each unit is compared with them over a range of its own. Times are those of batches of
64 in compact execution over those of the dense network in the same process, taking
turns: another trial on the machine slows down both, but not every program alike, and
`--jobs=1` gives the ratios of an idle machine.
"""

import dataclasses
from collections.abc import Sequence

from dynsparse import reports
from dynsparse.reports import Report
from dynsparse.reports.stats import Row
from .digits import SEEDS, add_dense, digits, number_of_seeds, pi_controller

UNITS = dict(
    small=("tokens", "bypass", "neurons"),
    full=("tokens", "bypass", "heads", "neurons", "width"),
)
BUDGETS = dict(small=(0.35, 0.55), full=(0.25, 0.35, 0.55, 0.75))
DENSITIES = dict(small=(0.35, 0.7, 1.0), full=(0.2, 0.35, 0.5, 0.75, 1.0))
_UNASKED = "evenly_spaced"  # slices of a width are nested: none has a score


def sweep(add, size):
    """One run per unit and seed, and the dense networks."""
    asked = {"evaluation.densities": DENSITIES[size], "evaluation.budgets": ()}
    run = digits(add, size, asked)
    for seed in SEEDS[size]:
        add_dense(run, size, seed)
        for budget in BUDGETS[size]:
            setting = f"budget {budget:g}"
            blocks = dict(model__granularity="blocks") | pi_controller(budget)
            run("blocks", "gumbel_sigmoid,,pi_controller", setting, seed, **blocks)
        for unit in UNITS[size]:
            method = _UNASKED if unit == "width" else "soft_topk"
            run(unit, method, "any budget", seed, model__granularity=unit)


def report(rows: Sequence[Row]) -> Report:
    """The units side by side, by MACs and by time."""
    points, others = reports.read_points(rows), (*UNITS["full"][1:], "blocks")
    notes, verdicts = [], []
    for cost in ("macs", "time"):
        paragraphs, found = reports.area_differences(points, "tokens", others, cost)
        notes += paragraphs
        verdicts += found
    said = reports.answer(verdicts, "curves", seeds=number_of_seeds(rows))
    return dataclasses.replace(reports.compare_methods(rows, notes=notes), answer=said)
