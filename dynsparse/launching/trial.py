"""One trial of a sweep: its folder, its process, and its rows."""

import dataclasses
import os
import pathlib
import platform
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from dynsparse._internal.atomic_write import read_json, reading, write_json
from dynsparse._internal.program_key import program_key
from dynsparse._internal.provenance import provenance
from dynsparse.launching.arguments import UserError
from dynsparse.launching.run import RunRequest, run_together
from dynsparse.launching.shipped import load_module
from dynsparse.launching.workdir import TRIAL, claim
from dynsparse.reports import Metric, read_result

PLACE = ("method", "setting", "seed")  # what tells trials that train apart
STOPPED = 130  # exit status of a trial that was asked to stop
LAUNCHER = "DYNSPARSE_LAUNCHER"  # variable: the id of its process, or another word
_AGAIN = "the command of its sweep writes it again"
PATIENCE = 120.0  # seconds that a trial of a killed launcher may take to stop


@dataclasses.dataclass(frozen=True)
class Trial:
    """One trial of a sweep, resolved.

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

    def write(self, sweep: pathlib.Path, command: str) -> pathlib.Path:
        """Write trial.json for the process of the trial; return its folder."""
        folder = sweep / self.name
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / TRIAL, dataclasses.asdict(self) | dict(command=command))
        return folder

    def rows(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of result.json: what was measured or examined, or else the curve."""
        if self.config is None:
            return result["rows"]
        if "examined" in result:
            return self._named(result["examined"])
        return self.curve(result)

    def curve(self, result: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Points of the curve in result.json, without what is nested or missing."""
        plain, metric = bool | int | float | str, Metric.of(result).label
        return self._named(
            {key: value for key, value in point.items() if isinstance(value, plain)}
            | dict(metric=metric)
            for point in result["curve"]
        )

    def _named(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        names = {key: self.asked[key] for key in PLACE} | dict(trial=self.name)
        return [{**names, **row} for row in rows]


Bundle = tuple[Trial, ...]  # trials that one process runs as one program


def bundles(trials: Sequence[Trial], most: int) -> list[Bundle]:
    """Trials put together, at most so many, whose runs can be one program."""
    alike: dict[str, list[Trial]] = {}
    for trial in trials:
        key = trial.name if trial.config is None else program_key(trial.config)
        alike.setdefault(key, []).append(trial)
    starts = [(same, n) for same in alike.values() for n in range(0, len(same), most)]
    return [tuple(same[start : start + most]) for same, start in starts]


def run_trials(folders: Sequence[str], console: Console) -> int:
    """Run the trials of folders in this process; return the exit status.

    Raises:
        DamagedFileError: If a file of a trial is damaged.
        UserError: If a folder is not that of a trial or in use, or no launcher has
            started this process: a trial names a file to run, which its launcher alone
            has written there.
    """
    trials = [(path, *_read(path)) for path in map(pathlib.Path, folders)]
    if LAUNCHER not in os.environ:
        raise UserError("trial is for the processes of a sweep, which sweep starts")
    stop_with_launcher(os.environ[LAUNCHER])
    left = [each for each in trials if read_result(each[0]) is None]
    if not left:
        return 0
    folder, trial, _ = left[0]
    if trial.config is None:  # one that is measured has the process for itself
        measure(trial, folder)
        return 0
    share_compiled(folder.resolve().parents[trial.name.count("/")])
    examine = getattr(load_module(trial.experiment, "experiments"), "examine", None)
    requests = [
        RunRequest(trial.config or {}, folder, command, PATIENCE)
        for folder, trial, command in left
    ]
    return STOPPED if run_together(requests, console, examine) is None else 0


def _read(folder: pathlib.Path) -> tuple[Trial, str]:
    """The trial of a folder, and the command that goes on with its sweep."""
    content = read_json(folder / TRIAL, _AGAIN)
    if content is None:
        raise UserError(f"trial: {str(folder)!r} is not the folder of a trial")
    with reading(folder / TRIAL, _AGAIN):
        command = content.pop("command")
        return Trial(**content), command


def measure(trial: Trial, folder: pathlib.Path):
    """Call `measure` of the experiment of a trial, and write result.json."""
    with claim(folder, trial.asked, PATIENCE):
        module = load_module(trial.experiment, "experiments")
        measured = module.measure(**trial.asked)
        rows = measured if isinstance(measured, list) else [measured]
        if not all(isinstance(row, dict) for row in rows):
            raise TypeError(f"measure returns a dict or a list of them, got {rows!r}")
        write_json(folder / "result.json", dict(rows=rows, **provenance()))


def share_compiled(sweep: pathlib.Path):
    """Share what is compiled with the other trials of a sweep, in its folder.

    Seeds run the same programs: the first compiles them, the others load them. Each
    machine has a folder of its own, since another may lack the instructions that were
    compiled. A cache that the user has chosen stays.
    """
    import jax

    config: Any = jax.config
    if not config.jax_compilation_cache_dir:
        cache = sweep / ".compiled" / platform.node()
        config.update("jax_compilation_cache_dir", str(cache))
        config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def stop_with_launcher(launcher: str):
    """Stop this process, gently, when the process with this id is no longer its own."""

    def watch():
        while os.getppid() == int(launcher):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    if launcher.isdigit():
        threading.Thread(target=watch, daemon=True).start()
