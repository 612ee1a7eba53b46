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

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from dynsparse import reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.stats import INCONCLUSIVE, SUPPORTED, Row
from .digits import SEEDS, digits, number_of_seeds

OWN_TASK = True  # where the digit is
METHODS = dict(
    small=("soft_topk", "random_topk", "magnitude"),
    full=("soft_topk", "gumbel_topk", "static", "random_topk", "magnitude"),
)
DENSITIES = dict(small=(0.2, 0.4), full=(0.1, 0.2, 0.35, 0.5, 0.75))
LEARNED = ("soft_topk", "gumbel_topk")  # the others are controls
LEAST = 0.01  # of recall, that counts
RULE = (
    f"Above: by more than {LEAST:g}, and below 5 % by the t test paired by seed, "
    "corrected by Holm over the densities of a method. The answer is that of learned "
    "gates."
)
CHANCE = dict(
    random_recall="random tokens", fixed_recall="the best same ones for all images"
)
RECALLS = ("recall", "precision", *CHANCE)
OF = dict.fromkeys(RECALLS, ".3f") | dict(accuracy=".4f")


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
        dict(density=round(point.density, 3), accuracy=point.answers.score)
        | vars(next(iter(point.answers.recovery.values())))
        | dict(fixed_recall=_fixed_recall(experiment, point.density))
        for point in points
    ]


def _fixed_recall(experiment, density: float) -> float:
    """Recall of the tokens that find most on training images, the same for all."""
    import jax.numpy as jnp
    import numpy as np

    from dynsparse.training.evaluation.recovery import score_recovery

    train, test = (
        np.asarray(experiment.grid.mostly(jnp.asarray(source.arrays["relevant"])))
        for source in (experiment.task.train, experiment.task.test)
    )
    k = round(density * train.shape[-1])
    worth = (train / np.minimum(k, train.sum(-1, keepdims=True))).mean(0)
    kept = np.zeros(test.shape, bool)
    kept[:, np.argsort(-worth)[:k]] = True
    kept, test = jnp.asarray(kept), jnp.asarray(test)
    found = score_recovery(kept, test, jnp.ones(len(test)))
    return float(found["recall"].value)


def report(rows: Sequence[Row]) -> Report:
    """Recall against density."""
    lines, verdicts = [], []
    for method, some in grouped(rows, itemgetter("method")).items():
        found = {words: _verdicts(some, name) for name, words in CHANCE.items()}
        above = [f"{words} {_places(found[words])}" for words in found]
        lines.append(f"- {method}: recall above that of {', of '.join(above)}")
        if method in LEARNED:
            verdicts += [word for places in found.values() for word in places.values()]
    said = reports.answer(
        verdicts, "densities and kinds of chance", seeds=number_of_seeds(rows)
    )
    notes, by = ["\n".join(lines), RULE], ("method", "density")
    return reports.report_means(rows, by, OF, notes=notes, draw=_draw, answer=said)


def _verdicts(rows: Sequence[Row], chance: str) -> dict[float, str]:
    """Whether the recall of one method is above a chance, by density."""
    found = reports.paired_differences(
        {
            density: (reports.by_seed(some, "recall"), reports.by_seed(some, chance))
            for density, some in grouped(rows, itemgetter("density")).items()
        }
    )
    return {
        density: INCONCLUSIVE if 0 < gap.mean <= LEAST else gap.verdict()
        for density, gap in found.items()
    }


def _places(verdicts: Mapping[float, str]) -> str:
    above = [f"{place:g}" for place, word in verdicts.items() if word == SUPPORTED]
    return f"at {', '.join(above) or 'no density'} of {len(verdicts)}"


def _draw(figure, means: Sequence[Row]):
    chance = [
        dict(row, method=words, recall=row[name].mean)
        for name, words in CHANCE.items()
        for row in means
        if row["method"] == means[0]["method"]
    ]
    (axes,) = reports.draw_panels(
        figure,
        [*means, *chance],
        x="density",
        y="recall",
        hue="method",
        baselines=list(CHANCE.values()),
        labels=dict(recall="recall of the true tokens"),
    )
    axes.set_ylim(0, 1.02)
