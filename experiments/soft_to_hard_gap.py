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

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from dynsparse import reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.stats import Row
from .digits import SEEDS, digits, number_of_seeds, pi_controller

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
RULE = (
    "p of the paired t test, corrected by Holm over these. The answer is that of the "
    "gaps and of the hard samples' accuracy."
)
OF = dict(gap="+.4f", training=".4f", evaluation=".4f", spent=".3f") | dict(
    accuracy=".4f", budget=".3f"
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
    from dynsparse.training.evaluation.evaluate import audit
    from dynsparse.training.evaluation.forward import compile_forward

    test, trained = experiment.task.test, shifted(experiment, state, 0.0)
    noisy = compile_forward(experiment.trainer, noise=True)
    as_trained, _ = audit(experiment, trained, test, forward=noisy)
    evaluated, bill = audit(experiment, trained, test)
    (point,) = points
    return [
        dict(
            gap=as_trained.score - evaluated.score,
            training=as_trained.score,
            evaluation=evaluated.score,
            spent=bill.budget,
            accuracy=point.answers.score,
            budget=point.bill.budget,
        )
    ]


def report(rows: Sequence[Row]) -> Report:
    """Gap and accuracy by estimator and temperature."""
    found = reports.paired_differences(_pairs(rows))
    lines = [
        f"- {name}: {100 * gap.mean:+.2f} points (± {100 * gap.half:.2f}, "
        f"p {gap.p_in_words}): {gap.verdict()}"
        for name, gap in found.items()
    ]
    claimed = [
        gap.verdict()
        for name, gap in found.items()
        if name.startswith(("gap", f"accuracy of {HARD}"))
    ]
    said = reports.answer(claimed, "comparisons", seeds=number_of_seeds(rows))
    notes, by = ["\n".join(lines), RULE], ("method", "setting")
    return reports.report_means(rows, by, OF, notes=notes, draw=_draw, answer=said)


def _pairs(rows: Sequence[Row]) -> dict[str, tuple[Any, Any]]:
    """Both halves of the claim, and the other estimators beside them, by seed."""
    at = grouped(rows, itemgetter("method", "setting"))
    values = lambda name, *place: reports.by_seed(at[place], name)
    return {
        f"gap of soft samples over that of hard ones at {setting}": (
            values("gap", SOFT, setting),
            values("gap", HARD, setting),
        )
        for method, setting in at
        if method == HARD
    } | {
        f"accuracy of {method} ({words}) at {USUAL} over that at {LOW}": (
            values("accuracy", method, USUAL),
            values("accuracy", method, LOW),
        )
        for method, words in ESTIMATORS.items()
    }


def _draw(figure, means: Sequence[Row]):
    named = [
        dict(row)
        | dict(
            estimator=f"{row['method']} ({ESTIMATORS[row['method']]})",
            temperature=row["setting"].removeprefix("temperature "),
        )
        for row in means
    ]
    reports.draw_panels(
        figure,
        named,
        x="temperature",
        y=("gap", "accuracy"),
        hue="estimator",
        labels=dict(gap="accuracy in training minus in evaluation"),
    )
