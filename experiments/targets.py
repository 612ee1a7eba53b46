"""What is a gate of a varying count worth at each budget?

    python launch.py sweep experiments/targets.py:full [--config=FILE.py:METHOD]

Claim: a gate whose count varies with the input, trained anew for each target for its
MACs, is at most a point less accurate from half of the dense MACs on than the dense
network that trained as long. What would refute it: a target there at which the paired
difference over seeds is below that.

A run of such a gate is one point; this draws its curve. The method is that of the
command, Gumbel-sigmoid gates over the tokens of cluttered digits where it names none;
its budget is one with a target in `budget_constraint`, as `pi_controller` has.
"""

import sys
from collections.abc import Sequence

from dynsparse.reports import (
    Difference,
    Report,
    Row,
    by_seed,
    compare_methods,
    paired_difference,
    with_half,
)
from .alone import run_alone
from .digits import caution, digits, pi_controller

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
    names = dict.fromkeys(row["method"] for row in rows if row["method"] != DENSE)
    notes = [*caution(rows), *(line for name in names for line in _notes(rows, name))]
    return compare_methods(rows, baselines={DENSE: "dense network"}, notes=notes)


def _notes(rows: Sequence[Row], name: str) -> list[str]:
    """The paired differences from the dense network, and what they show."""
    found: dict[str, Difference] = {}
    for setting in dict.fromkeys(r["setting"] for r in rows if r["method"] == name):
        own = by_seed(rows, "accuracy", method=name, setting=setting)
        dense = by_seed(rows, "accuracy", method=DENSE, setting=WHOLE)
        if {*own} & {*dense}:
            found[setting] = paired_difference(own, dense)
    lines = [
        f"- {setting}: {with_half(100 * gap.mean, 100 * gap.half, '+.2f')}"
        for setting, gap in found.items()
    ]
    judged = [gap for s, gap in found.items() if float(s.split()[1]) >= FROM]
    refuted = any(gap.mean + gap.half < -ALLOWED for gap in judged)
    shown = judged and all(gap.mean - gap.half > -ALLOWED for gap in judged)
    verdict = "refuted" if refuted else "shown" if shown else "not shown"
    head = f"{name} less dense, in points of accuracy, paired by seed"
    return [f"{head}: the claim is {verdict}.", "\n".join(lines)]


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
