"""Do gates find the object that nobody showed them?

    python launch.py --sweep=experiments/mask_recovery.py:full --workdir=DIR

Claim: the tokens that a gate learns to keep are those of the object, though it learns
from classes alone (Rao et al., 2021, arXiv:2106.02034, show pictures of it). What would
refute it: a recall of the true tokens that is not above that of as many random ones,
over seeds.

Tokens of `conv_vit` on cluttered digits; the true ones are the 4x4 patches of which at
least half lies in the square of the digit, about a third of them. Recall is the share
of the attainable: with fewer open tokens than true ones, that every open one is true.
"""

import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import Report, Row, means_in_words, over_seeds, strokes
from experiments.alone import run_alone
from experiments.digits import SEEDS, caution, digits

OWN_TASK = True  # where the digit is
METHODS = dict(
    small=("soft_topk", "random_topk", "magnitude"),
    full=("soft_topk", "gumbel_topk", "static", "random_topk", "magnitude"),
)
DENSITIES = dict(small=(0.2, 0.4), full=(0.1, 0.2, 0.35, 0.5, 0.75))
OF = dict(
    recall=".3f",
    precision=".3f",
    random_recall=".3f",
    accuracy=".4f",
)


def sweep(add, size):
    """One any-budget model per gate and seed."""
    asked = {"evaluation.densities": DENSITIES[size], "evaluation.budgets": ()}
    run = digits(add, size, asked)
    for seed in SEEDS[size]:
        for method in METHODS[size]:
            run(method, method, "any budget", seed)


def examine(experiment, state, points) -> list[dict[str, Any]]:
    """The open tokens of the test pictures beside the true ones, by density."""
    del experiment, state
    return [
        dict(density=round(point.density, 3), accuracy=point.answers.accuracy)
        | vars(point.recovery)
        for point in points
    ]


def report(rows: Sequence[Row]) -> Report:
    """Recall against density."""
    by = ("method", "density")
    means = over_seeds(rows, by, list(OF))
    methods = list(dict.fromkeys(row["method"] for row in means))
    return Report(
        rows=means,
        columns=[*by, *OF, "seeds"],
        table=means_in_words(means, by, OF),
        measured=rows,
        notes=[*caution(rows), *(_verdict(method, means) for method in methods)],
        figure=lambda figure: _draw(figure, means),
    )


def _verdict(method: str, means: Sequence[Row]) -> str:
    some = [row for row in means if row["method"] == method]
    found = [
        f"{row['density']:g}"
        for row in some
        if row["recall_mean"] - row["recall_half"] > row["random_recall_mean"]
    ]
    where = f"at densities {', '.join(found)}" if found else "at no density"
    return f"{method}: recall above that of random tokens {where}, of {len(some)}."


def _draw(figure, means: Sequence[Row]):
    methods = list(dict.fromkeys(row["method"] for row in means))
    looks = strokes(methods, [])
    axes = figure.subplots()
    for method in methods:
        some = [row for row in means if row["method"] == method]
        axes.errorbar(
            [row["density"] for row in some],
            [row["recall_mean"] for row in some],
            yerr=[row["recall_half"] for row in some],
            color=looks[method].color,
            marker=looks[method].marker,
            capsize=3,
            label=method,
        )
    chance = sorted({(row["density"], row["random_recall_mean"]) for row in means})
    axes.plot(*zip(*chance, strict=True), color="0.6", dashes=(4, 2), label="chance")
    axes.set(xlabel="density", ylabel="recall of the true tokens", ylim=(0, 1.02))
    axes.grid(alpha=0.25)
    axes.legend()


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
