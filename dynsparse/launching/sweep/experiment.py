"""An experiment: a file with a claim, a sweep and a report.

It imports no jax when it is imported and holds

- its docstring: the question, the command, `Claim: ...` and what would refute it;
- `sweep(add, size)`: one call of `add` per trial, where size is "small" (proves the
  pipeline in minutes) or "full" (for the claim);
- `measure(**trial)`, where a trial is something else than a training run: returns one
  row or a list of rows, plain values, of what `add(**trial)` was called with. Without
  it, trials train: `add(config="configs/cluttered_digits.py:soft_topk",
  method="soft_topk", setting="budget .5", seed=0, overrides={"train.num_steps": 100})`;
- `examine(experiment, state, points)`, where the curve of a run does not say what the
  report needs: returns a list of rows, plain values, of what was trained
  (`training.Experiment`, its last state, and the points of its curve);
- `report(rows)`: from the rows of all trials to a `reports.Report`;
- `METHOD = "gumbel_sigmoid,,pi_controller"`, where a command may put another method in
  the place of this one, by `--config=FILE.py:METHOD`: `sweep(add, size, method)` then
  gets it;
- `ALONE = True`, where trials are timed: they run one at a time;
- `OWN_TASK = True`, where `examine` needs what no other images have recorded: a
  command cannot change the task.
"""

import dataclasses
import pathlib
import re
import types
from typing import Any

from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.changes import NO_CHANGES, Changes
from dynsparse.launching.sweep.source import load, shown
from dynsparse.launching.sweep.trial import Trial, make_trial

SIZES = ("small", "full")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment file, loaded.

    Attributes:
        module: In the form above.
        path: Of its file, relative to the checkout where it lies there.
    """

    module: types.ModuleType
    path: str

    @classmethod
    def load(cls, path: str) -> "Experiment":
        """Loads an experiment file.

        Raises:
            UserError: If there is no such file, or it lacks a part of the form.
        """
        module = load(path)
        missing = [name for name in ("sweep", "report") if not hasattr(module, name)]
        if missing:
            raise UserError(f"{path} is no experiment: it has no {missing[0]}()")
        experiment = cls(module, shown(module))
        if not experiment.claim:
            raise UserError(f"the docstring of {experiment.path} states no claim.")
        return experiment

    @property
    def name(self) -> str:
        """Of the report and its files."""
        return pathlib.Path(self.path).stem

    @property
    def measured(self) -> bool:
        """Whether its trials are measured; they train otherwise."""
        return hasattr(self.module, "measure")

    @property
    def alone(self) -> bool:
        """Whether its trials are timed, and so run one at a time."""
        return getattr(self.module, "ALONE", False)

    @property
    def own_task(self) -> bool:
        """Whether its trials train on its own task only."""
        return getattr(self.module, "OWN_TASK", False)

    @property
    def takes_method(self) -> bool:
        """Whether a command may name the method of its trials."""
        return hasattr(self.module, "METHOD")

    @property
    def claim(self) -> str:
        """What it set out to show, and what would refute it, on one line."""
        found = re.search(r"Claim: (.*?)\n\n", f"{self.module.__doc__}\n\n", re.S)
        return " ".join(found[1].split()) if found else ""

    def asked(self, size: str, method: str | None = None) -> list[dict[str, Any]]:
        """The calls of `add`, in their order.

        Args:
            size: One of `SIZES`.
            method: That a command names, for an experiment that takes one.

        Raises:
            UserError: If the experiment does.
        """
        calls: list[dict[str, Any]] = []
        own = [method or self.module.METHOD] if self.takes_method else []
        try:
            self.module.sweep(lambda **trial: calls.append(trial), size, *own)
        except Exception as error:  # a file is code: anything may come out of it
            told = f"{type(error).__name__}: {error}"
            raise UserError(f"sweep() of {self.path} raised {told}") from error
        return calls

    def trials(self, size: str, changes: Changes = NO_CHANGES) -> list[Trial]:
        """The trials of a sweep, resolved.

        Args:
            size: One of `SIZES`.
            changes: What the command wants of all that train.

        Raises:
            UserError: If there are none, two are the same run or have the same method,
                setting and seed, or one is not accepted.
        """
        trials: dict[str, Trial] = {}
        places: dict[tuple[str, str, int], str] = {}
        for asked in self.asked(size, changes.method):
            trial = make_trial(
                self.path, asked, measured=self.measured, changes=changes
            )
            same = trials.setdefault(trial.runs, trial)
            if same is not trial:
                under = f" under {' '.join(changes.words)}" if changes.words else ""
                raise UserError(
                    f"{self.path}: trials {same.name} and {trial.name} are the same "
                    f"run{under}"
                )
            if not self.measured:
                own = trial.asked
                place = (own["method"], str(own["setting"]), own["seed"])
                other = places.setdefault(place, trial.name)
                if other != trial.name:
                    raise UserError(
                        f"{self.path}: {other} and {trial.name} have the same method, "
                        "setting and seed; give what differs one of its own"
                    )
        if not trials:
            raise UserError(f"{self.path} adds no trials at size {size!r}")
        return list(trials.values())
