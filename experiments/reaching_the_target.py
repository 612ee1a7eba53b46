"""Does a gate spend what it was asked to, without tuning?

    python launch.py sweep experiments/reaching_the_target.py:full --workdir=DIR

Claim: the PI controller (Sohrabi et al., 2024, arXiv:2406.04558) brings gates of a
varying count within 2 % of a target for their MACs, whatever its first price, where a
fixed penalty weight, with annealed bounds (Verelst and Tuytelaars, 2020,
arXiv:1912.03203) or without, ends somewhere else; an exact budget is met by
construction. What would refute it: a target and a first price at which it does not, or
a fixed weight that does as well at every target.

At the end of a training by the controller, scores move by one number until validation
images spend the target. What would have been spent without that is reported too, and
what fixed weights spend with it: then the accuracy is what tells them apart.
Gumbel-sigmoid gates over the tokens of cluttered digits, soft top-k for the exact
budget; what is spent is the bill of compact execution over the test images, as a
fraction of the dense MACs.
"""

import itertools
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from dynsparse import reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.stats import Row
from .digits import SEEDS, digits, number_of_seeds, pi_controller

TARGETS = dict(small=(0.35, 0.55), full=(0.3, 0.5, 0.7))
PRICES = dict(small=(0.0, 5.0), full=(0.0, 1.0, 5.0))
WEIGHTS = dict(small=(10.0,), full=(1.0, 10.0, 100.0))
EXACT = "exact budget"
CLOSE = 0.02  # of the target
TRAINED, MOVED = "as trained", "moved to the target"
RULE = (
    "Supported: every run of an arm of the controller (scores moved) or of the exact "
    "budget is close to its target, and not every run of an arm of a fixed weight "
    "(scores as trained)."
)
OF = dict(spent=".4f", error="+.4f", accuracy=".4f")


def sweep(add, size):
    """One run per arm, target and seed; the exact budget serves all targets at once."""
    run = digits(add, size, {})
    targets = TARGETS[size]
    for seed in SEEDS[size]:
        exact = dict(evaluation__densities=(), evaluation__budgets=targets)
        run(EXACT, "soft_topk", "every target", seed, **exact)
        for target, price in itertools.product(targets, PRICES[size]):
            run(
                f"PI, first price {price:g}",
                "gumbel_sigmoid,,pi_controller",
                f"target {target:g}",
                seed,
                budget__controller__initial=price,
                **pi_controller(target),
            )
        for target, weight in itertools.product(targets, WEIGHTS[size]):
            for words, until in (("weight", 0.0), ("bounds, weight", 0.33)):
                run(
                    f"{words} {weight:g}",
                    "gumbel_sigmoid,,mac_target",
                    f"target {target:g}",
                    seed,
                    budget__penalties__mac_target__target=target,
                    budget__penalties__mac_target__weight=weight,
                    budget__penalties__mac_target__bounds_until=until,
                )


def examine(experiment, state, points) -> list[dict[str, Any]]:
    """What is spent as trained, and with scores moved to the target at the end."""
    from dynsparse.budgets import find_shift
    from dynsparse.budgets.policies.constrained import Constrained
    from dynsparse.training.evaluation.calibration import shifted, validation_cost
    from dynsparse.training.evaluation.evaluate import audit

    row = lambda answers, bill, scores: dict(
        spent=bill.budget, accuracy=answers.score, scores=scores
    )
    test, policy = experiment.task.test, experiment.settings.budget
    held = isinstance(policy, Constrained)
    found = MOVED if held else TRAINED
    rows = [row(point.answers, point.bill, found) for point in points]
    if held:
        plain = shifted(experiment, state, 0.0)
        rows.append(row(*audit(experiment, plain, test), TRAINED))
    for penalty in policy.penalties:
        shift = find_shift(validation_cost(experiment, state), penalty.target)
        moved = shifted(experiment, state, shift or 0.0)
        rows.append(row(*audit(experiment, moved, test), MOVED))
    return rows


def report(rows: Sequence[Row]) -> Report:
    """What was spent by arm and target, and how often it is close."""
    measured = _with_targets(rows)
    lines, verdicts = _counts(measured)
    said = reports.answer(verdicts, "arms", seeds=number_of_seeds(rows))
    by, notes = ("arm", "scores", "target"), ["\n".join(lines), RULE]
    return reports.report_means(measured, by, OF, notes=notes, draw=_draw, answer=said)


def _with_targets(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows with their targets; those of the exact budget have them in order."""
    exact = [row for row in rows if row["method"] == EXACT]
    measured = [
        dict(row, target=float(row["setting"].split()[1]))
        for row in rows
        if row["method"] != EXACT
    ]
    targets = sorted({row["target"] for row in measured})
    for some in grouped(exact, itemgetter("seed")).values():
        spent = sorted(some, key=itemgetter("spent"))
        measured += [
            dict(row, target=target) for row, target in zip(spent, targets, strict=True)
        ]
    kept = ("scores", "target", "seed", "spent", "accuracy")
    return [
        dict(arm=row["method"], error=row["spent"] / row["target"] - 1)
        | {key: row[key] for key in kept}
        for row in measured
    ]


def _counts(measured: Sequence[Row]) -> tuple[list[str], list[bool]]:
    """How many runs of each arm are close to their target, and what that says."""
    lines, verdicts = [], []
    for (arm, scores), some in grouped(measured, itemgetter("arm", "scores")).items():
        errors = [abs(row["error"]) for row in some]
        within = sum(error <= CLOSE for error in errors)
        line = (
            f"- {arm}, scores {scores}: {within} of {len(errors)} runs within "
            f"{CLOSE:.0%} of their target, the furthest {max(errors):.1%} off"
        )
        missed = sorted({row["target"] for row in some if abs(row["error"]) > CLOSE})
        if missed:
            line += f"; misses at {', '.join(f'{target:g}' for target in missed)}"
        lines.append(line)
        controlled = arm.startswith("PI")
        if scores == (MOVED if controlled else TRAINED):
            verdicts.append(bool(missed) != (controlled or arm == EXACT))
    return lines, verdicts


def _draw(figure, means: Sequence[Row]):
    named = [
        dict(row, target=f"{row['target']:g}", scores=f"Scores {row['scores']}")
        for row in sorted(means, key=itemgetter("target"))
    ]
    panels = reports.draw_panels(
        figure,
        named,
        x="target",
        y=("error", "accuracy"),
        hue="arm",
        panel="scores",
        baselines=[EXACT],
        labels=dict(target="target / dense MACs", error="spent / target - 1"),
    )
    for axes in panels[:2]:
        axes.axhspan(-CLOSE, CLOSE, color="0.9", label=f"within {CLOSE:.0%}", zorder=0)
