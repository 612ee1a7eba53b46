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
from operator import itemgetter

from dynsparse import reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.stats import Row
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
    methods = grouped(rows, itemgetter("method"))
    dense = reports.by_seed(methods.pop(DENSE, []), "accuracy")
    for name, some in methods.items():
        lines = [f"{name} minus dense, in points of accuracy, paired by seed:\n"]
        settings = {
            setting: reports.by_seed(found, "accuracy")
            for setting, found in grouped(some, itemgetter("setting")).items()
        }
        pairs = {at: (own, dense) for at, own in settings.items() if {*own} & {*dense}}
        for setting, gap in reports.paired_differences(pairs).items():
            word = ""
            if float(setting.split()[1]) >= FROM:
                verdicts.append(gap.beside(-ALLOWED))
                word = f", {verdicts[-1]}"
            lines.append(f"- {setting}: {100 * gap:+.2f}{word}")
        notes.append("\n".join(lines))
    baselines = {DENSE: "dense network"}
    report = reports.compare_methods(rows, baselines=baselines, notes=notes)
    said = reports.answer(verdicts, "targets", seeds=number_of_seeds(rows))
    return dataclasses.replace(report, answer=said)
