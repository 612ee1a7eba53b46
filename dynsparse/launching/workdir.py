"""The folder of a run: one config, one live process."""

import contextlib
import fcntl
import json
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from dynsparse.launching.errors import UserError
from dynsparse.reports.compare import differences
from dynsparse.whole import write_json


def check_config(workdir: pathlib.Path, config: Mapping[str, Any]):
    """Refuses a folder that holds a sweep, or a run of another config.

    Raises:
        UserError: With the first differences.
    """
    if (workdir / "sweep.json").is_file():
        raise UserError(f"--workdir: {workdir} holds a sweep, not a run.")
    recorded = read_json(workdir / "config.json")
    if recorded is None or recorded == config:
        return
    found = [
        f"{key}: {there} there, {here} here"
        for key, (there, here) in differences([recorded, config]).items()
    ]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    shown = "; ".join([*found[:_SHOWN], *more])
    raise UserError(f"{workdir} holds a run of another config ({shown}).")


@contextlib.contextmanager
def claim(
    workdir: pathlib.Path, config: Mapping[str, Any], patience: float = 0.0
) -> Iterator[None]:
    """Holds `workdir` for this process and records `config` in it.

    Args:
        workdir: Folder of a run.
        config: Of the run.
        patience: Seconds to wait for another process that holds it.

    Raises:
        UserError: If another process holds it, it holds a run of another config, or it
            cannot be written.
    """
    with hold(workdir, patience):
        check_config(workdir, config)
        write_json(workdir / "config.json", config)
        yield


@contextlib.contextmanager
def hold(workdir: pathlib.Path, patience: float = 0.0) -> Iterator[None]:
    """Makes `workdir` and holds it for this process, however that ends.

    Args:
        workdir: The folder.
        patience: Seconds to wait for another process that holds it.

    Raises:
        UserError: If another process holds it, or it cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        lock = (workdir / ".lock").open("w")
    except OSError as error:
        raise UserError(f"--workdir: {error}") from error
    with lock:
        end = time.monotonic() + patience
        while not _locks(lock):
            if time.monotonic() >= end:
                raise UserError(f"{workdir} is in use by another process.")
            time.sleep(_PAUSE)
        yield


def finished(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Returns the content of `workdir`/result.json, or None."""
    return read_json(workdir / "result.json")


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Returns the content of a file, or None if there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else None


def _locks(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


_SHOWN = 4  # differences of two configs
_PAUSE = 0.1  # seconds between two looks at a lock
