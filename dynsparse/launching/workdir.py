"""The folder of a run: one config, one live process."""

import contextlib
import os
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import filelock

from dynsparse._internal.atomic_write import read_json, write_json
from dynsparse.launching.errors import UserError
from dynsparse.reports import PUT_BACK
from dynsparse.reports.telling import differences

CONFIG, SWEEP, TRIAL = "config.json", "sweep.json", "trial.json"
RESULT, ERROR = "result.json", "error.txt"


def _drawn(*names: str) -> list[str]:
    return [f"{name}.{ending}" for name in names for ending in ("png", "svg", "pdf")]


# What runs and sweeps write into their folders.
RUN_FILES = ["metrics.jsonl", "clock.jsonl", "curve.csv", "kept.npz", CONFIG, RESULT]
RUN_FILES += ["task.json"]
RUN_FILES += _drawn("curve", "kept")
RUN_FOLDERS = ["checkpoints", "@kflops"]
SWEEP_FILES = ["report.csv", "report.tex", "report.md", "seeds.csv", ERROR, SWEEP]
SWEEP_FILES += _drawn("figure")
SWEEP_FOLDERS = ["_summary"]


def check_config(workdir: pathlib.Path, config: Mapping[str, Any]):
    """Refuse a folder that holds a sweep, a run of another config, or neither.

    Where the run is not finished, what it will write is not to find a folder in the
    place of a file, or a file in that of a folder.

    Raises:
        DamagedFileError: If its config.json is damaged.
        UserError: With the first differences, or what is in the way.
    """
    refuse_foreign(workdir)
    if (workdir / SWEEP).exists():
        raise UserError(f"--workdir: {workdir} holds a sweep, not a run.")
    if not (workdir / RESULT).is_file():
        refuse_blocked(workdir, RUN_FILES, RUN_FOLDERS)
    recorded = read_json(workdir / CONFIG, PUT_BACK)
    if recorded is None or recorded == config:
        return
    changed = differences([recorded, config])
    if list(changed) == ["train.num_steps"]:
        there, here = changed["train.num_steps"]
        raise UserError(
            f"{workdir} holds a run of {there} steps, over which its learning rate "
            f"falls to zero: one of {here} is another run from its first step on. It "
            f"can start from these weights, by --config.train.init_from={workdir} and "
            "another --workdir."
        )
    told = [
        f"{key}: {there} there, {here} here" for key, (there, here) in changed.items()
    ]
    more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
    shown = "; ".join([*told[:_SHOWN], *more])
    raise UserError(f"{workdir} holds a run of another config ({shown}).")


@contextlib.contextmanager
def claim(
    workdir: pathlib.Path, config: Mapping[str, Any], patience: float = 0.0
) -> Iterator[None]:
    """Hold `workdir` for this process and record `config` in it.

    Args:
        workdir: Folder of a run.
        config: Of the run.
        patience: Seconds to wait for another process that holds the folder.

    Raises:
        DamagedFileError: If its config.json is damaged.
        UserError: If another process holds it, it holds something else than this run,
            or it cannot be written.
    """
    with hold(workdir, patience):
        check_config(workdir, config)
        write_json(workdir / CONFIG, config)
        yield


@contextlib.contextmanager
def hold(workdir: pathlib.Path, patience: float = 0.0) -> Iterator[None]:
    """Make `workdir` and lock it for this process, however that ends.

    Args:
        workdir: The folder.
        patience: Seconds to wait for another process that holds the folder.

    Raises:
        UserError: If another process holds it, it holds what is not ours, or it cannot
            be written.
    """
    refuse_foreign(workdir)
    lock = filelock.FileLock(workdir / ".lock", timeout=patience, thread_local=False)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise UserError(f"{workdir} is in use by another process.") from error
    except OSError as error:
        raise UserError(f"--workdir: {error}") from error
    try:
        yield
    finally:
        lock.release()


def refuse_foreign(workdir: pathlib.Path):
    """Refuse a folder that is not empty and holds no run, trial or sweep.

    Raises:
        UserError: With some of what it holds.
    """
    try:
        names = sorted(os.listdir(workdir))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"--workdir: {error}") from error
    foreign = [name for name in names if not _UNFINISHED.fullmatch(name)]
    if foreign and not {CONFIG, SWEEP, TRIAL} & {*names}:
        shown = ", ".join(map(repr, foreign[:_SHOWN]))
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        raise UserError(
            f"--workdir: {str(workdir)!r} is no folder of a run, and holds {shown}"
            f"{more}; choose an empty or a new one."
        )


def refuse_blocked(
    workdir: pathlib.Path, files: Collection[str], folders: Collection[str]
):
    """Refuse a folder in which something is in the way of what will be written.

    Args:
        workdir: Folder of a run or a sweep; it may not exist yet.
        files: Names that no folder may have.
        folders: Names that nothing but a folder may have.

    Raises:
        UserError: With the first that is in the way.
    """
    for path in map(workdir.joinpath, (*files, *folders)):
        if path.name in files and path.is_dir():
            told = "a folder, where a file will be written"
        elif path.name in folders and os.path.lexists(path) and not path.is_dir():
            told = "no folder, where one will be written into"
        else:
            continue
        raise UserError(f"--workdir: {path} is {told}; move it away.")


_SHOWN = 4  # differences of two configs, or files of others
# What a process leaves that was killed before it had written one of the three.
_UNFINISHED = re.compile(r"\.lock|\.\d+\.(config|sweep|trial)\.json")
