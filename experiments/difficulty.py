"""Do gates spend more on harder inputs, also on inputs harder than those they know?

    python launch.py sweep experiments/difficulty.py:full --workdir=DIR

Claim: gates of a varying count spend more MACs on images with more clutter, and on
images with less contrast, and go on doing so with more clutter than in any image of
training (input-dependent compute is the promise of Figurnov et al., 2017,
arXiv:1612.02297, and of all after it). What would refute it: a rank correlation of MACs
with clutter, or with the lack of contrast, that is not above that of random gates, over
seeds, on either kind of image.

Tokens of `conv_vit` on cluttered digits, held at half of the dense MACs while training.
`random_bernoulli` opens as many at random: its correlation is chance. Clutter is the
easier half: it is more patches that are not empty. A faint image has no more of them.
"""

import itertools
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from dynsparse import reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.stats import Row
from .digits import SEEDS, digits, number_of_seeds, pi_controller

OWN_TASK = True  # the difficulty of an image
TARGET = 0.5
GATES = dict(
    small=("gumbel_sigmoid", "hard_concrete"),
    full=("gumbel_sigmoid", "hard_concrete")
    + ("sigmoid_straight_through", "semantic_hash"),
)
RANDOM = "random_bernoulli"
MORE = 2  # times the most fragments of training
PICTURES = ("as in training", "more clutter")
FACTORS = ("clutter", "faintness")
RULE = (
    "Correlation minus that of random gates, paired by seed; p corrected by Holm over "
    "those of a gate."
)
OF = dict(clutter="+.3f", faintness="+.3f", budget=".3f", accuracy=".4f")


def sweep(add, size):
    """One run per gate and seed."""
    run = digits(add, size, {})
    for seed in SEEDS[size]:
        run(RANDOM, RANDOM, "half", seed, budget__density=TARGET)
        for method in GATES[size]:
            argument = f"{method},,pi_controller"
            run(method, argument, f"target {TARGET:g}", seed, **pi_controller(TARGET))


def examine(experiment, state, points) -> list[dict[str, Any]]:
    """How what each test image costs goes with what makes it hard."""
    from scipy.stats import spearmanr

    from dynsparse.training.evaluation.evaluate import audit

    del points
    same = experiment.task.test
    rows = []
    harder = _beyond(experiment.config["data"], len(same))
    for name, split in zip(PICTURES, (same, harder), strict=True):
        answers, bill = audit(experiment, state, split)
        varies = bill.used.min() < bill.used.max()
        row = dict(images=name, budget=bill.budget, accuracy=answers.score)
        for factor in FACTORS:
            found = spearmanr(bill.used, split.arrays[factor]) if varies else None
            row[factor] = float(found.statistic) if found else 0.0
        rows.append(row)
    return rows


def _beyond(task: Mapping[str, Any], number: int):
    """Those of so many images that have more fragments than any of training."""
    from dynsparse import data

    config = dict(task) | dict(num_train=1, num_validation=1, num_test=number)
    config["max_fragments"] *= MORE
    images = data.from_config(config).test
    return images.take(images.arrays["clutter"] > 1 / MORE)


def report(rows: Sequence[Row]) -> Report:
    """The correlations by gate and kind of image, each beside the random one."""
    lines, verdicts = [], []
    for method in grouped(rows, itemgetter("method")):
        if method == RANDOM:
            continue
        found = reports.paired_differences(
            {
                (images, factor): tuple(
                    reports.by_seed(rows, factor, method=name, images=images)
                    for name in (method, RANDOM)
                )
                for images, factor in itertools.product(PICTURES, FACTORS)
            }
        )
        words = [
            f"{factor}, {images}: {gap.verdict()} ({gap.mean:+.3f}, p {gap.p_in_words})"
            for (images, factor), gap in found.items()
        ]
        lines.append(f"- {method}: {'; '.join(words)}")
        verdicts += [gap.verdict() for gap in found.values()]
    said = reports.answer(verdicts, "correlations", seeds=number_of_seeds(rows))
    notes, by = ["\n".join(lines), RULE], ("method", "images")
    draw = lambda figure, means: reports.draw_panels(
        figure,
        means,
        x=FACTORS,
        y="method",
        hue="images",
        labels={name: f"rank correlation of MACs and {name}" for name in FACTORS},
    )
    return reports.report_means(rows, by, OF, notes=notes, draw=draw, answer=said)
