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
import hashlib
import json
import pathlib
import re
import shlex
import types
from collections.abc import Mapping
from typing import Any

from dynsparse.launching.arguments import Changes, UserError, as_words
from dynsparse.launching.config import load_config, override
from dynsparse.launching.shipped import load_module, spoken_name
from dynsparse.launching.trial import PLACE, Trial

SIZES = ("small", "full")
_PLACE_TAKEN = (
    "have the same method, setting and seed; give what differs one of its own"
)
_TASK = ("--config=", "--config.data=", "--config.data.name=")  # words that change it
_SET_BY_TASK = ("data.", "task.")  # what belongs to the task that is replaced
_REQUIRED = {"config", "method", "seed"}
_OPTIONAL = {"setting": "default", "overrides": {}}
_LONGEST = 80  # characters of a level of a name


@dataclasses.dataclass(frozen=True)
class Sweep:
    """An experiment file, loaded, and what a command asks of it.

    Attributes:
        module: In the form above.
        path: By which the file is found again: a path, or "package.module".
        size: One of `SIZES`.
        config: "FILE.py", whose task takes the place of that of every trial, or
            "FILE.py:METHOD" for an experiment that takes a method; or empty.
        changes: Keys and values for the config of every trial, sorted by key.
    """

    module: types.ModuleType
    path: str
    size: str = "small"
    config: str = ""
    changes: Changes = ()

    @property
    def name(self) -> str:
        """Name of the report and its files."""
        return pathlib.Path(str(self.module.__file__)).stem

    @property
    def claim(self) -> str:
        """What is to be shown, and what would refute it, on one line."""
        found = re.search(r"Claim: (.*?)\n\n", f"{self.module.__doc__}\n\n", re.S)
        return " ".join(found[1].split()) if found else ""

    @property
    def asked(self) -> str:
        """The experiment, its size and what is changed, as after `sweep`."""
        return shlex.join([f"{self.path}:{self.size}", *self.words])

    @property
    def words(self) -> list[str]:
        """What is changed, as words of a command."""
        task = [f"--config={self.config}"] if self.config else []
        return [*task, *as_words(self.changes)]

    def has(self, name: str) -> bool:
        """Whether the file has a part of the form that may be missing."""
        return bool(getattr(self.module, name, False))

    def trials(self) -> list[Trial]:
        """Trials of the sweep, resolved.

        Raises:
            UserError: If there are none, two are the same run or have the same method,
                setting and seed, or one is not accepted.
        """
        trials = [self.trial(asked) for asked in self.added()]
        if not trials:
            raise UserError(f"{self.path} adds no trials at size {self.size!r}")
        under = ["under", *self.words] if self.words else []
        same = " ".join(["are the same run", *under])
        seen: dict[tuple[str, str], Trial] = {}
        for trial in trials:
            keys = {same: trial.name.rpartition("-")[2]}
            if not self.has("measure"):
                keys[_PLACE_TAKEN] = str([trial.asked[key] for key in PLACE])
            for told, key in keys.items():
                other = seen.setdefault((told, key), trial)
                if other is not trial:
                    both = f"trials {other.name} and {trial.name}"
                    raise UserError(f"{self.path}: {both} {told}")
        return trials

    def added(self) -> list[dict[str, Any]]:
        """Keyword values of the calls of `add`, in their order.

        Raises:
            UserError: If `sweep` raises.
        """
        calls: list[dict[str, Any]] = []
        add = lambda **trial: calls.append(trial)
        method = self.config.partition(":")[2]
        own = [method or self.module.METHOD] if self.has("METHOD") else []
        try:
            self.module.sweep(add, self.size, *own)
        except Exception as error:  # a file is code: anything may come out of it
            told = f"{type(error).__name__}: {error}"
            raise UserError(f"sweep() of {self.path} raised {told}") from error
        return calls

    def trial(self, asked: Mapping[str, Any]) -> Trial:
        """The trial of one call of `add` with keyword values.

        Raises:
            UserError: If a key or a value is not accepted.
        """
        call = f"add({', '.join(f'{key}={value!r}' for key, value in asked.items())})"
        try:
            plain: dict[str, Any] = json.loads(json.dumps(asked))
            if self.has("measure"):
                name = _level(",".join(f"{key}={plain[key]}" for key in plain))
                return Trial(f"{name}-{_hash(plain)}", self.path, plain, None)
            return self._training_trial(plain)
        except (AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{call}: not plain values: {error}") from error
        except UserError as error:
            raise UserError(f"{call}: {error}") from error

    def _training_trial(self, asked: dict[str, Any]) -> Trial:
        if not _REQUIRED <= asked.keys() <= _REQUIRED | _OPTIONAL.keys():
            raise UserError(
                "a trial that trains has config, method and seed, may have setting and "
                f"overrides, and nothing else; got {', '.join(asked)}"
            )
        asked = asked | _OPTIONAL | asked
        if task := self.config.partition(":")[0]:
            asked["config"] = task + "".join(asked["config"].partition(":")[1:])
            kept = {
                k: v for k, v in asked["overrides"].items() if k[:5] not in _SET_BY_TASK
            }
            asked["overrides"] = kept
        config = load_config(asked["config"])
        override(config, [*asked["overrides"].items(), ("seed", asked["seed"])], "")
        override(config, self.changes)
        plain = json.loads(config.to_json_best_effort())
        name = "/".join(_level(str(asked[key])) for key in PLACE)
        runs = _hash({key: value for key, value in plain.items() if key != "names"})
        return Trial(f"{name}-{runs}", self.path, asked, plain)


def load_sweep(asked: str, config: str = "", changes: Changes = ()) -> Sweep:
    """Load an experiment, and check what a command asks of it.

    Args:
        asked: "EXPERIMENT" or "EXPERIMENT:SIZE", the experiment as in `load_module`.
        config: As in `Sweep`.
        changes: As in `Sweep`, in any order.

    Raises:
        UserError: If there is no such file, it lacks a part of the form, or its trials
            do not take what is changed.
    """
    path, _, size = asked.partition(":")
    size = size or SIZES[0]
    if size not in SIZES:
        raise UserError(f"unknown size {size!r}; accepted: {', '.join(SIZES)}")
    module = load_module(path, "experiments")
    for name in ("sweep", "report"):
        if not hasattr(module, name):
            raise UserError(f"{path} is no experiment: it has no {name}()")
    ordered = sorted(changes, key=lambda change: change[0])
    sweep = Sweep(module, spoken_name(module), size, config, ordered)
    if not sweep.claim:
        raise UserError(f"the docstring of {sweep.path} states no claim.")
    _check_changes(sweep)
    return sweep


def _check_changes(sweep: Sweep):
    task, _, method = sweep.config.partition(":")
    for word in sweep.words:
        if sweep.has("measure"):
            raise UserError(
                f"{word}: trials of {sweep.path} are measured, not trained, and have "
                "no config"
            )
        if word.startswith("--config.seed="):
            raise UserError(f"{word}: each trial of a sweep has a seed of its own")
        if sweep.has("OWN_TASK") and word.startswith(_TASK):
            raise UserError(
                f"{word}: {sweep.path} examines what only its own images have recorded "
                "(OWN_TASK = True there)"
            )
    if method and not sweep.has("METHOD"):
        raise UserError(
            f"--config={sweep.config}: each trial of {sweep.path} names its own "
            f"method; accepted: --config={task}"
        )


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _level(text: str) -> str:
    """A name that every file system and TensorBoard take."""
    name = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", text)[:_LONGEST]
    return f"_{name}" if name.startswith((".", "-")) or not name else name
