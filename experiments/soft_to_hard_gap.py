"""Do gates decide in training as they do afterwards?

    python launch.py --sweep=experiments/soft_to_hard_gap.py:full --workdir=DIR

Claim: gates that are hard in training, without noise, have no gap between training and
evaluation; soft samples have a large one, which a falling temperature closes; and hard
samples with Gumbel noise have a small one but lose accuracy where the temperature is
low (Kim, 2026, arXiv:2603.14157, for logic gates, where it is 47 points). What would
refute it: a gap of the soft samples that is not above that of the hard ones, or no loss
of accuracy from the highest temperature to the lowest, over seeds.

Tokens of `conv_vit` on cluttered digits, held at half of the dense MACs. The gap is the
accuracy with the noise and the soft masks of training less that without, both of the
trained network on the test pictures.
"""

import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import Report, Row, means_in_words, over_seeds, strokes
from experiments.alone import run_alone
from experiments.digits import SEEDS, caution, digits, pi_controller

TARGET = 0.5
ESTIMATORS = {
    "sigmoid_straight_through": "hard",
    "gumbel_sigmoid": "hard samples",
    "binary_concrete": "soft samples",
}
TEMPERATURES = dict(small=(0.1, 1.0), full=(0.1, 0.3, 1.0, 3.0))
FALLING = "1 to 0.1"  # over the first 0.8 of the run
OF = dict(gap="+.4f", training=".4f", accuracy=".4f", budget=".3f")


def sweep(add, size):
    """One run per estimator, temperature and seed."""
    run = digits(add, size, {})
    constant = {f"{t:g}": (t, t) for t in TEMPERATURES[size]}
    for seed in SEEDS[size]:
        for method in ESTIMATORS:
            for name, (start, end) in {**constant, FALLING: (1.0, 0.1)}.items():
                if size == "small" and name == FALLING and method != "binary_concrete":
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
    """The accuracy as in training, beside that of evaluation."""
    from dynsparse.training.audit import audit
    from dynsparse.training.evaluation import compile_forward

    noisy = compile_forward(experiment.trainer, noise=True)
    answers, _ = audit(experiment, state, experiment.dataset.test, forward=noisy)
    (point,) = points
    training, accuracy = answers.accuracy, point.answers.accuracy
    gap = training - accuracy
    budget = point.bill.budget
    return [dict(training=training, accuracy=accuracy, gap=gap, budget=budget)]


def report(rows: Sequence[Row]) -> Report:
    """Gap and accuracy by estimator and temperature."""
    by = ("method", "setting")
    means = over_seeds(rows, by, list(OF))
    worst = max(means, key=lambda row: row["gap_mean"])
    note = (
        f"The largest gap is that of {worst['method']} ({ESTIMATORS[worst['method']]}) "
        f"at {worst['setting']}: {100 * worst['gap_mean']:+.2f} points."
    )
    return Report(
        rows=means,
        columns=[*by, *OF, "seeds"],
        table=means_in_words(means, by, OF),
        measured=rows,
        notes=[*caution(rows), note],
        figure=lambda figure: _draw(figure, means),
    )


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
