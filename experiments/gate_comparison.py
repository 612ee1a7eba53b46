"""Which gate is worth its cost?

    python launch.py --sweep=experiments/gate_comparison.py:full --workdir=DIR

Claim: gates that look at the input are more accurate at equal MACs than random gates,
static pruning and a narrower dense network (Gao et al., 2018, arXiv:1810.05331, for
channels), whichever estimator trains them. What would refute it: a learned gate whose
paired difference from the best of these, over seeds, is not above 0.

Gates over the tokens of cluttered digits; a scorer that nobody trains and the largest
features stand among the baselines. Training is not equal: a gate of a varying count
trains for 1,300 steps at each budget, held there by the PI controller; a gate with a
density, the baselines among them, does so once for all budgets, and is evaluated at
them. The difference between a gate of the one kind and a baseline is thus that of the
gate and of a training for one budget. A gate that opens one unit, as `gumbel_softmax`
does, has no budget and is not here.
"""

import sys
from collections.abc import Sequence

from dynsparse.reports import BASELINES, Report, Row, compare_methods
from experiments.alone import run_alone
from experiments.digits import (
    SEEDS,
    add_dense,
    caution,
    digits,
    finely,
    pi_controller,
)

BUDGETS = dict(small=(0.35, 0.55), full=(0.25, 0.35, 0.55, 0.75))
CONTROLS = dict(
    small=("random_topk", "static"),
    full=("random_topk", "static", "hard_topk", "magnitude"),
)
NAMES = {
    "hard_topk": "untrained scorer",
    "magnitude": "tokens of the largest features",
}
UNEQUAL = (
    "Training is not equal: gates of a varying count train anew for each budget, gates "
    "with a density and their baselines once for all budgets, in as many steps as one "
    "of those. Compare the former with each other; against a baseline they have the "
    "advantage of a training for one budget."
)
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
        for name in CONTROLS[size]:
            run(name, name, "any budget", seed, **finely(size))
        for name in WITH_DENSITY[size]:
            run(name, name, "any budget", seed)
        for budget in budgets:
            setting = f"budget {budget:g}"
            for name in VARYING[size]:
                argument = f"{name},,pi_controller"
                run(name, argument, setting, seed, **pi_controller(budget))


def report(rows: Sequence[Row]) -> Report:
    """The table of all gates and both figures."""
    named = {**BASELINES, **NAMES}
    return compare_methods(rows, baselines=named, notes=[*caution(rows), UNEQUAL])


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
