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

from dynsparse.reports import (
    Report,
    Row,
    holm,
    means_in_words,
    over_seeds,
    paired_difference,
    strokes,
)
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
    return Report(
        rows=means,
        columns=[*by, *OF, "seeds"],
        table=means_in_words(means, by, OF),
        measured=rows,
        notes=[*caution(rows), *_verdicts(rows)],
        figure=lambda figure: _draw(figure, means),
    )


def _verdicts(rows: Sequence[Row]) -> list[str]:
    """Each method beside chance, by seed; p corrected by Holm over all of them."""
    pairs: dict[tuple[str, float], tuple[dict[int, float], dict[int, float]]] = {}
    for row in rows:
        found, chance = pairs.setdefault((row["method"], row["density"]), ({}, {}))
        found[row["seed"]], chance[row["seed"]] = row["recall"], row["random_recall"]
    gaps = {place: paired_difference(*pair) for place, pair in pairs.items()}
    corrected = holm([gap.p for gap in gaps.values()])
    above: dict[str, list[str]] = {method: [] for method, _ in gaps}
    for ((method, density), gap), p in zip(gaps.items(), corrected, strict=True):
        if p < 0.05 and gap.mean > 0:
            above[method].append(f"{density:g}")
    lines = []
    for method, places in above.items():
        where = f"densities {', '.join(places)}" if places else "no density"
        of = sum(one == method for one, _ in gaps)
        lines.append(
            f"- {method}: recall above that of random tokens at {where}, of {of}"
        )
    said = (
        "Above: by the paired t test, p corrected by Holm over all of these, below 5 %."
    )
    return ["\n".join(lines), said]


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
