"""Do gates decide in training as they do afterwards?

    python launch.py sweep experiments/soft_to_hard_gap.py:full --workdir=DIR

Claim: gates that are hard in training, without noise, have no gap between training and
evaluation; soft samples have a large one; and hard samples with Gumbel noise have a
small one but lose accuracy where the temperature is low (Kim, 2026, arXiv:2603.14157:
Hard-ST, Soft-Gumbel and Gumbel-ST, for logic gates, where that loss is 47 points). What
would refute it: a temperature at which the gap of the soft samples is not above that of
the hard ones, or no loss of accuracy of the hard ones from temperature 1 to the lowest,
over seeds.

Tokens of `conv_vit` on cluttered digits, held at half of the dense MACs. The gap is the
accuracy with the noise and the soft masks of training less that without, both of the
network as it was trained, on the test images. Accuracy and budget are those of the
run: with its scores moved at the end until validation images spend the target, which
is another decision where the gap is one of the budget; `spent` is without that. Soft
masks without noise (Soft-Mix) have no gate here; a falling temperature, the usual
remedy, is beside the constant ones.
"""

import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import (
    Report,
    Row,
    by_seed,
    p_in_words,
    paired_differences,
    report_means,
    strokes,
)
from .alone import run_alone
from .digits import SEEDS, caution, digits, pi_controller

TARGET = 0.5
ESTIMATORS = {
    "sigmoid_straight_through": "hard",
    "gumbel_sigmoid": "hard samples",
    "binary_concrete": "soft samples",
}
HARD, SOFT = "gumbel_sigmoid", "binary_concrete"
TEMPERATURES = dict(small=(0.1, 1.0), full=(0.1, 0.3, 1.0, 3.0))
FALLING = "1 to 0.1"  # over the first 0.8 of the run
LOW, USUAL = "temperature 0.1", "temperature 1"
OF = dict(
    gap="+.4f",
    training=".4f",
    evaluation=".4f",
    spent=".3f",
    accuracy=".4f",
    budget=".3f",
)


def sweep(add, size):
    """One run per estimator, temperature and seed."""
    run = digits(add, size, {})
    constant = {f"{t:g}": (t, t) for t in TEMPERATURES[size]}
    for seed in SEEDS[size]:
        for method in ESTIMATORS:
            for name, (start, end) in {**constant, FALLING: (1.0, 0.1)}.items():
                if size == "small" and name == FALLING and method != SOFT:
                    continue
                run(
                    method,
                    f"{method},,pi_controller",
                    f"temperature {name}",
                    seed,
                    gate__temperature=start,
                    temperature_schedule=dict(final=end, until=0.8),
                    **pi_controller(TARGET),
                )


def examine(experiment, state, points) -> list[dict[str, Any]]:
    """The accuracy as in training, beside those of evaluation."""
    from dynsparse.training.evaluation.calibration import shifted
    from dynsparse.training.evaluation.evaluate import audit, compile_forward

    test, trained = experiment.dataset.test, shifted(experiment, state, 0.0)
    noisy = compile_forward(experiment.trainer, noise=True)
    as_trained, _ = audit(experiment, trained, test, forward=noisy)
    evaluated, bill = audit(experiment, trained, test)
    (point,) = points
    return [
        dict(
            gap=as_trained.accuracy - evaluated.accuracy,
            training=as_trained.accuracy,
            evaluation=evaluated.accuracy,
            spent=bill.budget,
            accuracy=point.answers.accuracy,
            budget=point.bill.budget,
        )
    ]


def report(rows: Sequence[Row]) -> Report:
    """Gap and accuracy by estimator and temperature."""
    by, notes = ("method", "setting"), [*caution(rows), *_verdicts(rows)]
    return report_means(rows, by, OF, notes=notes, draw=_draw)


def _verdicts(rows: Sequence[Row]) -> list[str]:
    """Both halves of the claim, paired by seed, in points."""
    values = lambda name, method, setting: by_seed(
        rows, name, method=method, setting=setting
    )
    shared = dict.fromkeys(row["setting"] for row in rows if row["method"] == HARD)
    pairs = {
        f"gap of soft samples over that of hard ones at {setting}": (
            values("gap", SOFT, setting),
            values("gap", HARD, setting),
        )
        for setting in shared
    }
    for method, words in ESTIMATORS.items():
        name = f"accuracy of {method} ({words}) at {USUAL} over that at {LOW}"
        pairs[name] = tuple(values("accuracy", method, at) for at in (USUAL, LOW))
    lines = [
        f"- {name}: {100 * found.mean:+.2f} points (± {100 * found.half:.2f}, "
        f"p {p_in_words(p)}): "
        + ("shown" if p < 0.05 and found.mean > 0 else "not shown")
        for name, (found, p) in paired_differences(pairs).items()
    ]
    return ["\n".join(lines), "p of the paired t test, corrected by Holm over these."]


def _draw(figure, means: Sequence[Row]):
    settings = list(dict.fromkeys(row["setting"] for row in means))
    looks = strokes(list(ESTIMATORS), [])
    panels = figure.subplots(1, 2)
    for axes, name, label in (
        (panels[0], "gap", "accuracy in training less in evaluation, points"),
        (panels[1], "accuracy", "test accuracy, %"),
    ):
        for index, (method, words) in enumerate(ESTIMATORS.items()):
            some = [row for row in means if row["method"] == method]
            axes.errorbar(
                [settings.index(r["setting"]) + 0.08 * (index - 1) for r in some],
                [100 * row[f"{name}_mean"] for row in some],
                yerr=[100 * row[f"{name}_half"] for row in some],
                color=looks[method].color,
                fmt=looks[method].marker,
                capsize=3,
                label=f"{method} ({words})",
            )
        ticks = [setting.removeprefix("temperature ") for setting in settings]
        axes.set_xticks(range(len(settings)), ticks)
        axes.set(xlabel="temperature", ylabel=label)
        axes.grid(alpha=0.25)
    panels[0].axhline(0, color="0.6", linewidth=1, zorder=0)
    panels[0].legend(fontsize=9)


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
