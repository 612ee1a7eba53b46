"""The command that draws a curve, for a method of which a run is one point."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse.launching.command_line import flag_of, spoken

_SWEEP = "--sweep=experiments/targets.py:full"
_HELD = "pi_controller"  # the budget that holds any gate that learns what it opens
# What that sweep sets in each trial, or the other budget has no key of.
_OWN = ("seed", "penalties", "budget_constraint")


def more_points(
    script: str, asked: str, config: ConfigDict, given: Sequence[str]
) -> str | None:
    """Returns a line that names the command, or None for a run that has its curve.

    Args:
        script: Path of launch.py.
        asked: "FILE.py" or "FILE.py:ARGUMENT", as after --config.
        config: Complete.
        given: What the command set otherwise, each as --config.KEY=VALUE.
    """
    points: Any = config.evaluation
    gate: Any = config.gate
    if points.densities or points.budgets:
        return None
    file, _, argument = asked.partition(":")
    if config.penalties or config.budget_constraint is not None:
        method, model, *_ = [*argument.split(","), ""]
        task = f"--config={file}:{method},{model},{_HELD}"
        kept = [word for word in given if _key(word).split(".")[0] not in _OWN]
        command = spoken([script, _SWEEP, task, *kept])
        return f"one point of a curve; a sweep over targets draws it:  {command}"
    if "density" in gate:
        kept = [word for word in given if _key(word) != "gate.density"]
        other = f"--config.gate.density={gate.density / 2:g}"
        command = spoken([script, f"--config={asked}", *kept, other])
        return f"one point of a curve; another:  {command}"
    return None


def _key(word: str) -> str:
    return (flag_of(word) or "").partition(".")[2]
