"""Do gates spend more on harder inputs, also on inputs harder than those they know?

    python launch.py --sweep=experiments/difficulty.py:full --workdir=DIR

Claim: gates of a varying count spend more MACs on pictures with more clutter and less
contrast, and go on doing so with twice the clutter of training (input-dependent compute
is the promise of Figurnov et al., 2017, arXiv:1612.02297, and of all after it). What
would refute it: a rank correlation of MACs and recorded difficulty that is not above 0
over seeds, on either kind of picture.

Tokens of `conv_vit` on cluttered digits, held at half of the dense MACs while training.
`random_bernoulli` opens as many at random: its correlation is chance.
"""

import sys
from collections.abc import Mapping, Sequence
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
from experiments.digits import SEEDS, caution, digits, pi_controller

OWN_TASK = True  # the difficulty of a picture
TARGET = 0.5
GATES = dict(
    small=("gumbel_sigmoid", "hard_concrete"),
    full=(
        "gumbel_sigmoid",
        "hard_concrete",
        "sigmoid_straight_through",
        "semantic_hash",
    ),
)
RANDOM = "random_bernoulli"
MORE = 2  # times the fragments of training
PICTURES = ("as in training", "more clutter")
OF = dict(correlation="+.3f", budget=".3f", accuracy=".4f")


def sweep(add, size):
    """One run per gate and seed."""
    run = digits(add, size, {})
    for seed in SEEDS[size]:
        run(RANDOM, RANDOM, "half", seed, gate__density=TARGET)
        for method in GATES[size]:
            argument = f"{method},,pi_controller"
            run(method, argument, f"target {TARGET:g}", seed, **pi_controller(TARGET))


def examine(experiment, state, points) -> list[dict[str, Any]]:
    """How what each test picture costs goes with its difficulty."""
    from scipy.stats import spearmanr

    from configs import cluttered_digits
    from dynsparse import data
    from dynsparse.training.audit import audit

    del points
    same = experiment.dataset.test
    config = cluttered_digits.get_config().data.to_dict()
    config |= dict(num_train=1, num_validation=1, num_test=len(same))
    config["max_fragments"] *= MORE
    splits = (same, data.from_config(config).test)
    rows = []
    for name, split in zip(PICTURES, splits, strict=True):
        answers, bill = audit(experiment, state, split)
        varies = bill.used.min() < bill.used.max()
        correlation = spearmanr(bill.used, split.difficulty) if varies else None
        rows.append(
            dict(
                pictures=name,
                correlation=float(correlation.statistic) if correlation else 0.0,
                budget=bill.budget,
                accuracy=answers.accuracy,
            )
        )
    return rows


def report(rows: Sequence[Row]) -> Report:
    """The correlations, by gate and kind of picture."""
    by = ("method", "pictures")
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
    """Each gate and kind of picture beside the random gate, by seed."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        place = row["method"], row["pictures"]
        found.setdefault(place, {})[row["seed"]] = row["correlation"]
    gaps = {
        (method, pictures): paired_difference(correlations, found[RANDOM, pictures])
        for (method, pictures), correlations in found.items()
        if method != RANDOM
    }
    corrected = holm([gap.p for gap in gaps.values()])
    lines = []
    for ((method, pictures), gap), p in zip(gaps.items(), corrected, strict=True):
        holds = p < 0.05 and gap.mean > 0
        word = "follows difficulty" if holds else "not shown to follow difficulty"
        chances = f"{gap.mean:+.3f} over random, p = {p:.3f}"
        lines.append(f"- {method}, pictures {pictures}: {word} ({chances})")
    return ["p of the paired t test, corrected by Holm over these.", "\n".join(lines)]


def _draw(figure, means: Sequence[Row]):
    methods = list(dict.fromkeys(row["method"] for row in means))
    looks = strokes(list(PICTURES), [])
    axes = figure.subplots()
    for index, pictures in enumerate(PICTURES):
        some = {row["method"]: row for row in means if row["pictures"] == pictures}
        _draw_bars(axes, methods, some, looks[pictures].color, pictures, index)
    axes.axhline(0, color="0.3", linewidth=1)
    axes.set_xticks(range(len(methods)), methods)
    axes.set_ylabel("rank correlation of MACs and difficulty")
    axes.legend(title="test pictures")


def _draw_bars(
    axes,
    methods: Sequence[str],
    some: Mapping[str, Row],
    color: str,
    label: str,
    index: int,
):
    axes.bar(
        [place + 0.38 * (index - 0.5) for place in range(len(methods))],
        [some[method]["correlation_mean"] for method in methods],
        yerr=[some[method]["correlation_half"] for method in methods],
        width=0.36,
        color=color,
        capsize=3,
        label=label,
    )


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
