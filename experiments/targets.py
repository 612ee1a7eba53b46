"""What is a gate of a varying count worth at each budget?

    python launch.py sweep experiments/targets.py:full [--config=FILE.py:METHOD]

Claim: a gate whose count varies with the input, trained anew for each target for its
MACs, is at most a point less accurate from half of the dense MACs on than the dense
network that trained as long. What would refute it: a target there at which the paired
difference over seeds is below that.

A run of such a gate is one point; this draws its curve. The method is that of the
command, Gumbel-sigmoid gates over the tokens of cluttered digits where it names none;
its budget is a constrained one, with a target, such as `pi_controller`.
"""

import dataclasses
from collections.abc import Sequence

from dynsparse.reports import (
    Interval,
    Report,
    answer,
    by_seed,
    compare_methods,
    judge_bound,
    paired_difference,
    with_half,
)
from dynsparse.reports.tables import Row
from .digits import digits, number_of_seeds, pi_controller

METHOD = "gumbel_sigmoid,conv_vit,pi_controller"
TARGETS = dict(small=(0.35, 0.55), full=(0.25, 0.4, 0.55, 0.7, 0.85))
SEEDS = dict(small=range(2), full=range(3))
DENSE, WHOLE = "dense", "whole"
FROM = 0.5  # of the dense MACs
ALLOWED = 0.01  # of accuracy


def sweep(add, size, method=METHOD):
    """One run per target and seed, and the dense network."""
    run = digits(add, size, {})
    name, model, *_ = [*method.split(","), ""]
    for seed in SEEDS[size]:
        run(DENSE, f"dense,{model}", WHOLE, seed)
        for target in TARGETS[size]:
            run(name, method, f"target {target:g}", seed, **pi_controller(target))


def report(rows: Sequence[Row]) -> Report:
    """The curve, and how far it is below the dense network."""
    notes, verdicts = [], []
    for name in dict.fromkeys(row["method"] for row in rows if row["method"] != DENSE):
        lines = [f"{name} minus dense, in points of accuracy, paired by seed:\n"]
        for setting, gap in _differences(rows, name).items():
            points, word = with_half(100 * gap.mean, 100 * gap.half, "+.2f"), ""
            if float(setting.split()[1]) >= FROM:
                verdicts.append(judge_bound(gap, -ALLOWED))
                word = f", {verdicts[-1]}"
            lines.append(f"- {setting}: {points}{word}")
        notes.append("\n".join(lines))
    report = compare_methods(rows, baselines={DENSE: "dense network"}, notes=notes)
    said = answer(verdicts, "targets", seeds=number_of_seeds(rows))
    return dataclasses.replace(report, answer=said)


def _differences(rows: Sequence[Row], name: str) -> dict[str, Interval]:
    """The paired differences from the dense network, by setting."""
    found = {}
    for setting in dict.fromkeys(r["setting"] for r in rows if r["method"] == name):
        own = by_seed(rows, "accuracy", method=name, setting=setting)
        dense = by_seed(rows, "accuracy", method=DENSE, setting=WHOLE)
        if {*own} & {*dense}:
            found[setting] = paired_difference(own, dense)
    return found
