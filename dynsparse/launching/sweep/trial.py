"""One trial of a sweep: what it runs, its name, and its rows."""

import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from dynsparse._internal.atomic_write import read_json, reading, write_json
from dynsparse._internal.provenance import provenance
from dynsparse.launching.errors import UserError
from dynsparse.launching.request import Request
from dynsparse.launching.sweep.changes import NO_CHANGES, Changes
from dynsparse.launching.sweep.resolve import resolve
from dynsparse.launching.sweep.source import load
from dynsparse.launching.workdir import TRIAL, claim

_REQUIRED = {"config", "method", "seed"}
_OPTIONAL = {"setting": "default", "overrides": {}}
_LONGEST = 80  # characters of a level of a name
_AGAIN = "the command of its sweep writes it again"
_PATIENCE = 120.0  # seconds that a trial of a killed launcher may take to stop


@dataclasses.dataclass(frozen=True)
class Trial:
    """One trial, resolved.

    Attributes:
        name: Its folder, relative to that of the sweep: method/setting/seed, or the
            values that it was added with, and a hash of what it runs.
        experiment: File of the experiment.
        asked: What `add` was called with, plain values.
        config: Complete config of a trial that trains; None for one that is measured.
    """

    name: str
    experiment: str
    asked: Mapping[str, Any]
    config: Mapping[str, Any] | None

    @property
    def runs(self) -> str:
        """What it runs, hashed: the end of its name."""
        return self.name.rpartition("-")[2]

    def rows(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a finished trial.

        Args:
            result: The content of its result.json.

        Returns:
            Those that were measured; or what was examined of a run; or else its points.
        """
        if self.config is None:
            return result["rows"]
        if "examined" in result:
            return [self._front() | row for row in result["examined"]]
        return self.points(result)

    def points(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The points of the curve of a finished run.

        Args:
            result: The content of its result.json.

        Returns:
            A row for each, without what is nested or missing there, after the trial's
            `method`, `setting`, `seed` and `trial`.
        """
        plain = lambda point: {
            key: value
            for key, value in point.items()
            if isinstance(value, bool | int | float | str)
        }
        return [self._front() | plain(point) for point in result["curve"]]

    def _front(self) -> dict[str, Any]:
        front = {key: self.asked[key] for key in ("method", "setting", "seed")}
        return front | dict(trial=self.name)

    def write(self, sweep: pathlib.Path, command: str) -> pathlib.Path:
        """Writes trial.json, for the process that runs it.

        Args:
            sweep: Folder of the sweep.
            command: Goes on with the sweep.

        Returns:
            The folder of the trial.
        """
        folder = sweep / self.name
        folder.mkdir(parents=True, exist_ok=True)
        content = dataclasses.asdict(self) | dict(command=command)
        write_json(folder / TRIAL, content)
        return folder


def make_trial(
    experiment: str,
    asked: Mapping[str, Any],
    *,
    measured: bool,
    changes: Changes = NO_CHANGES,
) -> Trial:
    """Checks and resolves what `add` was called with.

    Args:
        experiment: File of the experiment.
        asked: Keyword values of the call.
        measured: Whether the experiment has `measure`; its trials train otherwise.
        changes: What the command wants of a trial that trains.

    Raises:
        UserError: If a key or a value is not accepted.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(asked))
    except (TypeError, ValueError) as error:
        raise UserError(f"add({_call(asked)}): not plain values: {error}") from error
    if measured:
        name = ",".join(f"{key}={value}" for key, value in plain.items())
        return Trial(f"{_level(name)}-{_hash(plain)}", experiment, plain, None)
    if plain.keys() - _OPTIONAL.keys() - _REQUIRED or _REQUIRED - plain.keys():
        raise UserError(
            f"add({_call(asked)}): a trial that trains has config, method and seed, "
            f"may have setting and overrides, and nothing else; got {', '.join(plain)}"
        )
    plain |= {key: _OPTIONAL[key] for key in _OPTIONAL.keys() - plain.keys()}
    place = changes.place(plain["config"], plain["overrides"])
    plain["config"], plain["overrides"] = place
    try:
        config = resolve(*place, plain["seed"], changes)
    except UserError as error:
        raise UserError(f"add({_call(asked)}): {error}") from error
    levels = [_level(str(plain[key])) for key in ("method", "setting", "seed")]
    runs = {key: value for key, value in config.items() if key != "names"}
    return Trial(f"{'/'.join(levels)}-{_hash(runs)}", experiment, plain, config)


def asks_for_trial(argv: list[str]) -> bool:
    """Whether a command line is that of a process of a sweep."""
    return len(argv) > 1 and all(word.startswith("--trial=") for word in argv[1:])


Asked = tuple[Trial, Request | None, pathlib.Path]


def read_trials(argv: list[str]) -> list[Asked]:
    """Reads what a process of a sweep is to run.

    Args:
        argv: As in `sys.argv`: launch.py --trial=FOLDER [--trial=FOLDER ...].

    Returns:
        Each trial, the request for its run if it trains, and its folder.

    Raises:
        DamagedFileError: If a trial.json is damaged.
        UserError: If a folder is not that of a trial.
    """
    return [_read(pathlib.Path(word.partition("=")[2])) for word in argv[1:]]


def _read(folder: pathlib.Path) -> Asked:
    content = read_json(folder / TRIAL, _AGAIN)
    if content is None:
        raise UserError(f"--trial: {str(folder)!r} is not the folder of a trial")
    with reading(folder / TRIAL, _AGAIN):
        command = content.pop("command")
        trial = Trial(**content)
        if trial.config is None:
            return trial, None, folder
        config = ConfigDict(trial.config).lock()
    return trial, Request(config, folder, command, _PATIENCE), folder


def examiner(trial: Trial) -> Callable[..., list[dict[str, Any]]] | None:
    """The `examine` of the experiment of a trial, if it has one."""
    return getattr(load(trial.experiment), "examine", None)


def measure(trial: Trial, folder: pathlib.Path):
    """Calls `measure` of the experiment and writes result.json.

    Raises:
        UserError: If another process holds the folder.
    """
    with claim(folder, trial.asked, _PATIENCE):
        measured = load(trial.experiment).measure(**trial.asked)
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


def _call(asked: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in asked.items())
