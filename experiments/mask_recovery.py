"""Do gates find the object that nobody showed them?

    python launch.py sweep experiments/mask_recovery.py:full --workdir=DIR

Claim: the tokens that a gate learns to keep are those of the object, though it learns
from classes alone (Rao et al., 2021, arXiv:2106.02034, show images of it). What would
refute it: a recall of the true tokens that is not above that of as many random ones, or
of the best choice that is the same for all images, over seeds.

Tokens of `conv_vit` on cluttered digits; the true ones are the 4x4 patches of which at
least half lies in the square of the digit, about a third of them. Recall is the share
of the attainable: with fewer open tokens than true ones, that every open one is true.
A digit is more than half as high as the image and always covers its middle: the best
choice without looking, known from where the digits of the training images are, finds
far more than chance.
"""

import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import (
    Report,
    Row,
    by_seed,
    paired_differences,
    report_means,
    strokes,
)
from .alone import run_alone
from .digits import SEEDS, caution, digits

OWN_TASK = True  # where the digit is
METHODS = dict(
    small=("soft_topk", "random_topk", "magnitude"),
    full=("soft_topk", "gumbel_topk", "static", "random_topk", "magnitude"),
)
DENSITIES = dict(small=(0.2, 0.4), full=(0.1, 0.2, 0.35, 0.5, 0.75))
LEAST = 0.01  # of recall, that counts
CHANCE = dict(
    random_recall="random tokens", fixed_recall="the best same ones for all images"
)
OF = dict(
    recall=".3f",
    precision=".3f",
    random_recall=".3f",
    fixed_recall=".3f",
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
    """The open tokens of the test images beside the true ones, by density."""
    del state
    return [
        dict(density=round(point.density, 3), accuracy=point.answers.accuracy)
        | vars(point.recovery)
        | dict(fixed_recall=_fixed_recall(experiment, point.density))
        for point in points
    ]


def _fixed_recall(experiment, density: float) -> float:
    """Recall of the tokens that find most on training images, the same for all."""
    import numpy as np

    from dynsparse.training.evaluation.recovery import score_recovery, true_patches

    data = experiment.dataset
    train, test = (
        true_patches(split.best_mask, experiment.grid)
        for split in (data.train, data.test)
    )
    k = round(density * train.shape[-1])
    worth = (train / np.minimum(k, train.sum(-1, keepdims=True))).mean(0)
    kept = np.zeros(test.shape, bool)
    kept[:, np.argsort(-worth)[:k]] = True
    return score_recovery(kept, test).recall


def report(rows: Sequence[Row]) -> Report:
    """Recall against density."""
    by, notes = ("method", "density"), [*caution(rows), *_verdicts(rows)]
    return report_means(rows, by, OF, notes=notes, draw=_draw)


def _verdicts(rows: Sequence[Row]) -> list[str]:
    """Each method beside both kinds of chance, paired by seed."""
    methods = dict.fromkeys(row["method"] for row in rows)
    lines = []
    for method in methods:
        some = [row for row in rows if row["method"] == method]
        above = [f"{words} {_above(some, name)}" for name, words in CHANCE.items()]
        lines.append(f"- {method}: recall above that of {', of '.join(above)}")
    said = (
        f"Above: by more than {LEAST:g}, and below 5 % by the t test paired by seed, "
        "corrected by Holm over the densities of a method."
    )
    return ["\n".join(lines), said]


def _above(rows: Sequence[Row], chance: str) -> str:
    """The densities where the recall of one method is above a chance."""
    densities = dict.fromkeys(row["density"] for row in rows)
    pairs = {
        density: tuple(
            by_seed(rows, name, density=density) for name in ("recall", chance)
        )
        for density in densities
    }
    places = [
        f"{density:g}"
        for density, (gap, p) in paired_differences(pairs).items()
        if p < 0.05 and gap.mean > LEAST
    ]
    return f"at {', '.join(places) or 'no density'} of {len(densities)}"


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
    for name, dashes in zip(CHANCE, ((4, 2), (1, 1.5)), strict=True):
        line = sorted({(row["density"], row[f"{name}_mean"]) for row in means})
        axes.plot(
            *zip(*line, strict=True), color="0.5", dashes=dashes, label=CHANCE[name]
        )
    axes.set(xlabel="density", ylabel="recall of the true tokens", ylim=(0, 1.02))
    axes.grid(alpha=0.25)
    axes.legend()


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
