"""Which gate is worth its cost?

    python launch.py --sweep=experiments/gate_comparison.py:full --workdir=DIR

Claim: gates that look at the input are more accurate at equal MACs than random gates,
static pruning and a narrower dense network (Gao et al., 2018, arXiv:1810.05331, for
channels), whichever estimator trains them. What would refute it: a learned gate whose
paired difference from the best of these, over seeds, is not above 0.

Gates over the tokens of cluttered digits, the same steps for all. A gate with a density
trains once for all budgets, one of a varying count once per budget, held there by the
PI controller.
"""

import sys
from collections.abc import Sequence

from dynsparse.reports import Report, Row, compare_methods
from experiments.alone import run_alone
from experiments.digits import SEEDS, add_dense, caution, digits, pi_controller

BUDGETS = dict(small=(0.35, 0.55), full=(0.25, 0.35, 0.55, 0.75))
BASELINES = ("random_topk", "static")
WITH_DENSITY = dict(
    small=("soft_topk", "gumbel_topk"),
    full=(
        "soft_topk",
        "gumbel_topk",
        "perturbed_topk",
        "dftopk",
        "relaxed_subset",
        "neural_sort",
        "soft_sort",
        "imle",
        "simple",
        "systematic_topk",
        "hard_topk",
        "magnitude",
    ),
)
VARYING = dict(
    small=("gumbel_sigmoid", "hard_concrete"),
    full=(
        "gumbel_sigmoid",
        "hard_concrete",
        "bernoulli_straight_through",
        "sigmoid_straight_through",
        "binary_concrete",
        "semantic_hash",
        "gumbel_softmax",
        "reinmax",
        "reinforce",
    ),
)


def sweep(add, size):
    """One run per gate, budget where it needs one, and seed."""
    budgets = BUDGETS[size]
    asked = {"evaluation.densities": (), "evaluation.budgets": budgets}
    run = digits(add, size, asked)
    for seed in SEEDS[size]:
        add_dense(run, size, seed)
        for name in (*BASELINES, *WITH_DENSITY[size]):
            run(name, name, "any budget", seed)
        for budget in budgets:
            setting = f"budget {budget:g}"
            for name in VARYING[size]:
                argument = f"{name},,pi_controller"
                run(name, argument, setting, seed, **pi_controller(budget))


def report(rows: Sequence[Row]) -> Report:
    """The table of all gates and both figures."""
    return compare_methods(rows, notes=caution(rows))


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
