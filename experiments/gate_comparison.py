"""Which gate is worth its cost?

    python launch.py sweep experiments/gate_comparison.py:full --workdir=DIR

Claim: gates that look at the input are more accurate at equal MACs than random gates,
static pruning and a narrower dense network (Gao et al., 2018, arXiv:1810.05331, for
channels), whichever estimator trains them. What would refute it: a learned gate whose
paired difference from the best of these, over seeds, is not above 0.

Every learned gate that can be held at a budget, over the tokens of cluttered digits or,
by `--config`, of other images. A gate with a density trains once for all budgets; a
gate of a varying count anew for each, held there by the PI controller. They are two
parts of the report, each with random gates and static pruning that train as its gates
do: between the parts, what differs is the training too. Beside the first stand two ways
to choose that are not learned: a scorer that nobody trains, `hard_topk`, and the
largest features, `magnitude`.
"""

from collections.abc import Mapping, Sequence

from dynsparse.configs import METHODS

from dynsparse.reports import Report, area_differences, compare_methods, read_points
from dynsparse.reports.stats import Row
from .digits import BASELINES, SEEDS, add_dense, digits, finely, pi_controller

BUDGETS = dict(small=(0.35, 0.55), full=(0.25, 0.35, 0.55, 0.75))
# Where gates train for one budget: that, and the density of random and static ones,
# which cost a little less than the least of these and a little more than the most.
HELD: Mapping[str, Mapping[float, float]] = dict(
    small={0.35: 0.265, 0.55: 0.55}, full={0.25: 0.143, 0.5: 0.49}
)
UNLEARNED = dict(small=(), full=("hard_topk", "magnitude"))
_LEARNED = [row for row in METHODS.values() if not row.control]
WITH_DENSITY = dict(
    small=("soft_topk", "gumbel_topk"),
    full=tuple(row.name for row in _LEARNED if row.budget == "log_uniform"),
)
VARYING = dict(
    small=("gumbel_sigmoid", "hard_concrete"),
    full=tuple(row.name for row in _LEARNED if row.budget == "target_rate"),
)
ANY, EACH = "once for all budgets", "for each budget"
ADVANTAGE = (
    "Narrower networks train for one width each. That is the training of the gates "
    f"that train {EACH}; against those that train {ANY}, in as many steps, it is an "
    "advantage."
)
APART = {
    "hard_topk": "a scorer that nobody trains",
    "magnitude": "the largest features, which nothing learns to score",
    "reinforce": "two passes a step",
    "disarm": "two passes a step",
}


def sweep(add, size):
    """One run per gate, budget where it needs one, and seed."""
    asked = {"evaluation.densities": (), "evaluation.budgets": BUDGETS[size]}
    run = digits(add, size, asked)
    for seed in SEEDS[size]:
        add_dense(run, size, seed)
        for name in ("random", "static", *UNLEARNED[size]):
            method = "random_topk" if name == "random" else name
            run(name, method, "any budget", seed, **finely(size))
        for name in WITH_DENSITY[size]:
            run(name, name, "any budget", seed)
        for budget, density in HELD[size].items():
            setting = f"budget {budget:g}"
            for name in VARYING[size]:
                argument = f"{name},,pi_controller"
                run(name, argument, setting, seed, **pi_controller(budget))
            for name, method in dict(random="random_topk", static="static").items():
                run(
                    name,
                    f"{method},,fixed",
                    setting,
                    seed,
                    budget__density=density,
                    evaluation__densities=(),
                    evaluation__budgets=(),
                )


def report(rows: Sequence[Row]) -> Report:
    """Both parts of the table and their figures, and the gates beside each other."""
    found = {row["method"] for row in rows}
    words = [f"`{name}`: {what}." for name, what in APART.items() if name in found]
    notes = [ADVANTAGE, *([" ".join(words)] if words else [])]
    for training, reference in {ANY: "soft_topk", EACH: "gumbel_sigmoid"}.items():
        some = [row for row in rows if _training(row) == training]
        others = {row["method"] for row in some} - {reference, *BASELINES}
        if others:
            found, _ = area_differences(read_points(some), reference, sorted(others))
            notes += found
    return compare_methods(
        rows, baselines=BASELINES, notes=notes, group=_training, by="trained"
    )


def _training(row: Row) -> str | None:
    """How often the network of a row trained; None for dense ones."""
    setting = row["setting"]
    if setting.startswith("whole"):
        return None
    return ANY if setting == "any budget" else EACH
