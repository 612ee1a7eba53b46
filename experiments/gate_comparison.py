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
from typing import Any

from dynsparse.reports import Report, Row, compare_methods
from experiments.alone import run_alone

BUDGETS = dict(small=(0.35, 0.55), full=(0.25, 0.35, 0.55, 0.75))
SEEDS = dict(small=range(3), full=range(5))
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
NARROWER = {  # what `models.narrower` finds for these budgets, which needs jax
    0.25: dict(width=21, mlp_width=64),
    0.35: dict(width=24, mlp_width=72),
    0.55: dict(width=33, mlp_width=96),
    0.75: dict(width=39, mlp_width=120),
}
QUICK = {"train.num_steps": 130, "train.eval_every": 130}
QUICK |= {"data.num_train": 10_000, "data.num_validation": 500, "data.num_test": 2_000}


def sweep(add, size):
    """One run per gate, budget where it needs one, and seed."""
    budgets = BUDGETS[size]
    for seed in SEEDS[size]:

        def run(method, argument, setting, changes, seed=seed):
            base = {"evaluation.densities": (), "evaluation.budgets": budgets}
            base |= QUICK if size == "small" else {}
            add(
                config=f"configs/cluttered_digits.py:{argument}",
                method=method,
                setting=setting,
                seed=seed,
                overrides=base | changes,
            )

        run("dense", "dense", "whole", {})
        for name in (*BASELINES, *WITH_DENSITY[size]):
            run(name, name, "any budget", {})
        for budget in budgets:
            setting = f"budget {budget:g}"
            sizes = {f"model.{key}": n for key, n in NARROWER[budget].items()}
            run("narrower", "dense", setting, sizes)
            target = {"budget_constraint.target": budget}
            for name in VARYING[size]:
                run(name, f"{name},,pi_controller", setting, target)


def report(rows: Sequence[Row]) -> Report:
    """The table of all gates and both figures."""
    return compare_methods(rows, notes=notes(rows))


def notes(rows: Sequence[Row]) -> list[str]:
    """What the size of the sweep allows to say."""
    seeds: set[Any] = {row["seed"] for row in rows}
    if len(seeds) >= len(SEEDS["full"]):
        return []
    return ["A small sweep: it proves the pipeline and makes no claim."]


if __name__ == "__main__":
    run_alone(sys.modules["__main__"])
