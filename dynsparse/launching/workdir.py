"""The folder of a run or a sweep: one of them, and one live process."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import filelock

from dynsparse._internal.atomic_write import read_json, write_json
from dynsparse.launching.arguments import UserError
from dynsparse.reports import PUT_BACK
from dynsparse.reports.telling import differences

CONFIG, SWEEP, TRIAL = "config.json", "sweep.json", "trial.json"
_SHOWN = 4  # differences of two configs, or files of others
# What a process leaves that was killed before it had written one of the three.
_UNFINISHED = re.compile(r"\.lock|\.\d+\.(config|sweep|trial)\.json")


@contextlib.contextmanager
def claim(
    workdir: pathlib.Path, config: Mapping[str, Any], patience: float = 0.0
) -> Iterator[None]:
    """Hold the folder of a run for this process, and record its config there.

    Args:
        workdir: The folder.
        config: Of the run.
        patience: Seconds to wait for another process that holds the folder.

    Raises:
        DamagedFileError: If its config.json is damaged.
        UserError: If it is in use, holds another run, or cannot be written.
    """
    with hold(workdir, patience):
        check_config(workdir, config)
        write_json(workdir / CONFIG, config)
        yield


@contextlib.contextmanager
def hold(workdir: pathlib.Path, patience: float = 0.0) -> Iterator[None]:
    """Make a folder and lock it for this process, however that ends.

    Raises:
        UserError: If it is in use, holds what is not ours, or cannot be written.
    """
    _refuse_foreign(workdir)
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


def check_config(workdir: pathlib.Path, config: Mapping[str, Any]):
    """Refuse a folder that holds a sweep, a run of another config, or neither.

    Raises:
        DamagedFileError: If its config.json is damaged.
        UserError: With the first differences, or what the folder holds.
    """
    _refuse_foreign(workdir)
    if (workdir / SWEEP).exists():
        raise UserError(f"--workdir: {workdir} holds a sweep, not a run.")
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
    told = [f"{key}: {old} there, {new} here" for key, (old, new) in changed.items()]
    raise UserError(f"{workdir} holds a run of another config ({_few(told, '; ')}).")


def _refuse_foreign(workdir: pathlib.Path):
    """Refuse a folder that is not empty and holds no run, trial or sweep."""
    try:
        names = sorted(os.listdir(workdir))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"--workdir: {error}") from error
    foreign = [name for name in names if not _UNFINISHED.fullmatch(name)]
    if foreign and not {CONFIG, SWEEP, TRIAL} & {*names}:
        told = _few([repr(name) for name in foreign], ", ")
        raise UserError(
            f"--workdir: {str(workdir)!r} is no folder of a run, and holds {told}; "
            "choose an empty or a new one."
        )


def _few(words: list[str], comma: str) -> str:
    more = [f"and {len(words) - _SHOWN} more"] if len(words) > _SHOWN else []
    return comma.join([*words[:_SHOWN], *more])
