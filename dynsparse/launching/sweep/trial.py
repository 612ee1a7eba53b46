"""One trial of a sweep: what it runs, its name, and its rows."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse._internal.atomic_write import read_json, reading, write_json
from dynsparse._internal.program_key import program_key
from dynsparse._internal.provenance import provenance
from dynsparse.launching import naming
from dynsparse.launching.config import check_key, load_config, override
from dynsparse.launching.errors import UserError
from dynsparse.launching.run import RunRequest
from dynsparse.launching.shipped import load_module
from dynsparse.launching.workdir import TRIAL, claim

_PLACE = ("method", "setting", "seed")  # what tells trials that train apart
_REQUIRED = {"config", "method", "seed"}
_OPTIONAL = {"setting": "default", "overrides": {}}
_LONGEST = 80  # characters of a level of a name
_AGAIN = "the command of its sweep writes it again"
_PATIENCE = 120.0  # seconds that a trial of a killed launcher may take to stop


@dataclasses.dataclass(frozen=True)
class Changes:
    """What a command changes in every trial of a sweep.

    Attributes:
        config: "FILE.py", whose task takes the place of that of every trial, or
            "FILE.py:METHOD" for an experiment that takes a method; or empty.
        values: Each `--config.KEY=VALUE`, sorted by key, as for a single run.
    """

    config: str = ""
    values: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        """File of the task, or empty."""
        return self.config.partition(":")[0]

    @property
    def method(self) -> str:
        """What follows the task, "METHOD" or "METHOD,MODEL,BUDGET", or empty."""
        return self.config.partition(":")[2]

    @property
    def words(self) -> list[str]:
        """The changes as words of a command."""
        return [*([f"--config={self.config}"] if self.config else []), *self.values]


NO_CHANGES = Changes()


@dataclasses.dataclass(frozen=True)
class Trial:
    """A trial, resolved.

    Attributes:
        name: Folder of the trial in that of the sweep: method/setting/seed, or the
            values that it was added with, and a hash of what it runs.
        experiment: Path or module of the experiment file.
        asked: What `add` was called with, plain values.
        config: Complete config of a trial that trains; None for one that is measured.
    """

    name: str
    experiment: str
    asked: Mapping[str, Any]
    config: Mapping[str, Any] | None

    @property
    def runs(self) -> str:
        """Hash of what the trial runs: the end of its name."""
        return self.name.rpartition("-")[2]

    @property
    def place(self) -> str:
        """What a report tells the trial by."""
        trains = self.config is not None
        return ", ".join(str(self.asked[k]) for k in _PLACE) if trains else self.name

    def rows(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows that were measured; or what was examined of a run; or else its points.

        Args:
            result: Content of result.json of the finished trial.
        """
        if self.config is None:
            return result["rows"]
        if "examined" in result:
            return [self._names() | row for row in result["examined"]]
        return self.points(result)

    def points(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Points of the curve of a run, without what is nested or missing there.

        Args:
            result: Content of result.json of the finished run.
        """
        plain = bool | int | float | str
        return [
            self._names() | {k: v for k, v in point.items() if isinstance(v, plain)}
            for point in result["curve"]
        ]

    def _names(self) -> dict[str, Any]:
        return {key: self.asked[key] for key in _PLACE} | dict(trial=self.name)

    def write(self, sweep: pathlib.Path, command: str) -> pathlib.Path:
        """Write trial.json for the process that runs the trial; return its folder.

        Args:
            sweep: Folder of the sweep.
            command: Goes on with the sweep.
        """
        folder = sweep / self.name
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TRIAL, dataclasses.asdict(self) | dict(command=command))
        return folder


def make_trial(
    experiment: str,
    asked: Mapping[str, Any],
    *,
    measured: bool,
    changes: Changes = NO_CHANGES,
) -> Trial:
    """Check and resolve what `add` was called with.

    Args:
        experiment: Path or module of the experiment file.
        asked: Keyword values of the call.
        measured: Whether the experiment has `measure`; its trials train otherwise.
        changes: What the command wants of a trial that trains.

    Raises:
        UserError: If a key or a value is not accepted.
    """
    call = f"add({', '.join(f'{key}={value!r}' for key, value in asked.items())})"
    try:
        plain: dict[str, Any] = json.loads(json.dumps(asked))
        if measured:
            name = ",".join(f"{key}={value}" for key, value in plain.items())
            return Trial(f"{_level(name)}-{_hash(plain)}", experiment, plain, None)
        if not _REQUIRED <= plain.keys() <= _REQUIRED | _OPTIONAL.keys():
            raise UserError(
                "a trial that trains has config, method and seed, may have setting and "
                f"overrides, and nothing else; got {', '.join(plain)}"
            )
        plain |= _OPTIONAL | plain
        if changes.task:
            plain["config"] = changes.task + "".join(plain["config"].partition(":")[1:])
            kept = {k: v for k, v in plain["overrides"].items() if k[:5] != "data."}
            plain["overrides"] = kept
        config = _resolve(plain, changes.values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{call}: not plain values: {error}") from error
    except UserError as error:
        raise UserError(f"{call}: {error}") from error
    name = "/".join(_level(str(plain[key])) for key in _PLACE)
    runs = _hash({key: value for key, value in config.items() if key != "names"})
    return Trial(f"{name}-{runs}", experiment, plain, config)


def _resolve(asked: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Plain values of the complete config of a trial, as JSON gives them back."""
    config = load_config(asked["config"])
    try:
        for key in asked["overrides"]:
            check_key(config, key)
        values = asked["overrides"] | {"seed": asked["seed"]}
        with naming.renaming(config):
            config.update_from_flattened_dict(values)
        override(config, changes)
    except Exception as error:  # whatever the values of a trial may be
        told = error.args[0] if isinstance(error, KeyError) else error
        raise UserError(f"{asked['config']}: {told}") from error
    return json.loads(config.to_json_best_effort())


Bundle = tuple[Trial, ...]  # trials that one process runs as one program


def bundles(trials: Sequence[Trial], most: int) -> list[Bundle]:
    """Put trials together, at most so many, whose runs can be one program."""
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        key = trial.name if trial.config is None else program_key(trial.config)
        alike.setdefault(key, []).append(trial)
    starts = [(same, n) for same in alike.values() for n in range(0, len(same), most)]
    return [tuple(same[start : start + most]) for same, start in starts]


def read_trial(folder: pathlib.Path) -> tuple[Trial, RunRequest | None]:
    """Read a trial, and the request for its run if it trains, from its folder.

    Raises:
        DamagedFileError: If trial.json is damaged.
        UserError: If the folder is not that of a trial.
    """
    content = read_json(folder / TRIAL, _AGAIN)
    if content is None:
        raise UserError(f"trial: {str(folder)!r} is not the folder of a trial")
    with reading(folder / TRIAL, _AGAIN):
        command = content.pop("command")
        trial = Trial(**content)
        if trial.config is None:
            return trial, None
        config = ConfigDict(trial.config).lock()
    return trial, RunRequest(config, folder, command, _PATIENCE)


def examiner(trial: Trial) -> Callable[..., list[dict[str, Any]]] | None:
    """`examine` of the experiment of a trial, if it has one."""
    return getattr(load_module(trial.experiment, "experiments"), "examine", None)


def measure(trial: Trial, folder: pathlib.Path):
    """Call `measure` of the experiment and write result.json.

    Raises:
        UserError: If another process holds the folder.
    """
    with claim(folder, trial.asked, _PATIENCE):
        module = load_module(trial.experiment, "experiments")
        measured = module.measure(**trial.asked)
        rows = measured if isinstance(measured, list) else [measured]
        if not all(isinstance(row, dict) for row in rows):
            raise TypeError(f"measure returns a dict or a list of them, got {rows!r}")
        write_json(folder / "result.json", dict(rows=rows, **provenance()))


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _level(text: str) -> str:
    """A name that every file system and TensorBoard take."""
    name = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", text)[:_LONGEST]
    return f"_{name}" if name.startswith((".", "-")) or not name else name
