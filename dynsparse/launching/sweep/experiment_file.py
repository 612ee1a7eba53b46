"""An experiment file: a claim, a sweep and a report.

It holds

- its docstring: the question, the command, `Claim: ...` and what would refute it;
- `sweep(add, size)`: one call of `add` per trial, where size is "small" (proves the
  pipeline in minutes) or "full" (for the claim);
- `measure(**trial)`, where a trial is something else than a training run: returns one
  row or a list of rows, plain values, of what `add(**trial)` was called with. Without
  it, trials train: `add(config="configs/cluttered_digits.py:soft_topk",
  method="soft_topk", setting="budget .5", seed=0, overrides={"train.num_steps": 100})`;
- `examine(run, state, points)`, where the curve of a run does not say what the report
  needs: returns a list of rows, plain values, of what was trained (the prepared run,
  its last state, and the points of its curve);
- `report(rows)`: from the rows of all trials to a `reports.Report`;
- `METHOD = "gumbel_sigmoid,,pi_controller"`, where a command may put another method in
  the place of this one, by `--config=FILE.py:METHOD`: `sweep(add, size, method)` then
  gets it;
- `ALONE = True`, where trials are timed: they run one at a time;
- `OWN_TASK = True`, where `examine` needs what no other images have recorded: a
  command cannot change the task.

Importing it initialises no JAX backend: each trial takes what the launcher gives it.
"""

import dataclasses
import pathlib
import re
import types
from typing import Any

from dynsparse.launching.errors import UserError
from dynsparse.launching.shipped import load_module, spoken_name
from dynsparse.launching.sweep.trial import NO_CHANGES, Changes, Trial, make_trial

SIZES = ("small", "full")
_PLACE = "have the same method, setting and seed; give what differs one of its own"


@dataclasses.dataclass(frozen=True)
class ExperimentFile:
    """A loaded experiment file.

    Attributes:
        module: In the form above.
        path: By which it is found again: a path, or "package.module".
    """

    module: types.ModuleType
    path: str

    @classmethod
    def load(cls, asked: str) -> "ExperimentFile":
        """Load an experiment file by path, by short name, or as "package.module".

        Raises:
            UserError: If there is no such file, or it lacks a part of the form.
        """
        module = load_module(asked, "experiments")
        for name in ("sweep", "report"):
            if not hasattr(module, name):
                raise UserError(f"{asked} is no experiment: it has no {name}()")
        found = cls(module, spoken_name(module))
        if not found.claim:
            raise UserError(f"the docstring of {found.path} states no claim.")
        return found

    @property
    def name(self) -> str:
        """Name of the report and its files."""
        return pathlib.Path(str(self.module.__file__)).stem

    @property
    def claim(self) -> str:
        """What it set out to show, and what would refute it, on one line."""
        found = re.search(r"Claim: (.*?)\n\n", f"{self.module.__doc__}\n\n", re.S)
        return " ".join(found[1].split()) if found else ""

    @property
    def measured(self) -> bool:
        """Whether its trials are measured; they train otherwise."""
        return hasattr(self.module, "measure")

    def has(self, flag: str) -> bool:
        """Whether it sets METHOD, ALONE or OWN_TASK."""
        return bool(getattr(self.module, flag, False))

    def asked(self, size: str, method: str = "") -> list[dict[str, Any]]:
        """Keyword values of the calls of `add`, in their order.

        Args:
            size: One of `SIZES`.
            method: Named by a command, for an experiment that takes one; or empty.

        Raises:
            UserError: If `sweep` raises.
        """
        calls: list[dict[str, Any]] = []
        own = [method or self.module.METHOD] if self.has("METHOD") else []
        try:
            self.module.sweep(lambda **trial: calls.append(trial), size, *own)
        except Exception as error:  # a file is code: anything may come out of it
            told = f"{type(error).__name__}: {error}"
            raise UserError(f"sweep() of {self.path} raised {told}") from error
        return calls

    def trials(self, size: str, changes: Changes = NO_CHANGES) -> list[Trial]:
        """Trials of a sweep, resolved.

        Args:
            size: One of `SIZES`.
            changes: What the command wants of all that train.

        Raises:
            UserError: If there are none, two are the same run or have the same method,
                setting and seed, or one is not accepted.
        """
        trials = [
            make_trial(self.path, asked, measured=self.measured, changes=changes)
            for asked in self.asked(size, changes.method)
        ]
        if not trials:
            raise UserError(f"{self.path} adds no trials at size {size!r}")
        under = f" under {' '.join(changes.words)}" if changes.words else ""
        same = f"are the same run{under}"
        seen: dict[tuple[str, str], Trial] = {}
        for trial in trials:
            for told, key in (
                (same, trial.runs),
                (_PLACE, trial.place),
            ):
                other = seen.setdefault((told, key), trial)
                if other is not trial:
                    both = f"trials {other.name} and {trial.name}"
                    raise UserError(f"{self.path}: {both} {told}")
        return trials
