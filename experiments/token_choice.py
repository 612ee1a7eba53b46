"""Which tokens to keep: those that a gate learned, or those that are easy to name?

    python launch.py sweep experiments/token_choice.py:full --workdir=DIR

Claim: learned tokens are more accurate at equal MACs than random ones, those of the
largest features, evenly spaced ones and the same ones for every input (Rao et al.,
2021, arXiv:2106.02034, for random tokens, attention and structure). What would refute
it: a budget at which the paired difference from the best of these is not above 0.

Tokens of `conv_vit` on cluttered digits, one any-budget model per way and seed.
"""

from collections.abc import Sequence

from dynsparse.reports import BASELINES, Report, compare_methods
from dynsparse.reports.stats import Row
from .digits import SEEDS, add_dense, digits, finely

BUDGETS = dict(small=(0.35, 0.55), full=(0.25, 0.35, 0.55, 0.75))
CONTROLS = ("random_topk", "magnitude", "evenly_spaced", "static")
NAMES = {
    "magnitude": "tokens of the largest features",
    "evenly_spaced": "evenly spaced tokens",
}


def sweep(add, size):
    """One run per way to choose and seed."""
    budgets = BUDGETS[size]
    run = digits(add, size, {"evaluation.densities": (), "evaluation.budgets": budgets})
    for seed in SEEDS[size]:
        add_dense(run, size, seed)
        run("soft_topk", "soft_topk", "any budget", seed)
        for method in CONTROLS:
            run(method, method, "any budget", seed, **finely(size))


def report(rows: Sequence[Row]) -> Report:
    """Learned tokens beside every control."""
    named = {**BASELINES, **NAMES}
    return compare_methods(rows, baselines=named)
