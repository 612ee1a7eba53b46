"""The folder of a sweep: one experiment, one launcher."""

import contextlib
import pathlib
from collections.abc import Iterator

from dynsparse._internal.atomic_write import read_json, reading, write_json
from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.workdir import (
    CONFIG,
    SWEEP,
    SWEEP_FILES,
    SWEEP_FOLDERS,
    hold,
    refuse_blocked,
)
from dynsparse.reports import PUT_BACK


def check_sweep(request: SweepRequest):
    """Refuses a folder that holds a run, or a sweep of something else.

    Raises:
        DamagedFileError: If its sweep.json is damaged.
        UserError: With what it holds.
    """
    workdir, wanted = request.workdir, _record(request)
    if (workdir / CONFIG).exists():
        raise UserError(f"--workdir: {workdir} holds a run, not a sweep.")
    refuse_blocked(workdir, SWEEP_FILES, SWEEP_FOLDERS)
    recorded = read_json(workdir / SWEEP, PUT_BACK)
    if recorded is None or recorded == wanted:
        return
    with reading(workdir / SWEEP, PUT_BACK):
        there, here = recorded["sweep"], wanted["sweep"]
    raise UserError(f"--workdir: {workdir} holds a sweep of {there}, not {here}.")


@contextlib.contextmanager
def claim_sweep(request: SweepRequest) -> Iterator[pathlib.Path]:
    """Holds the folder of a sweep for this process and records the sweep in it.

    Raises:
        DamagedFileError: If its sweep.json is damaged.
        UserError: If another process holds it, or it holds something else.
    """
    with hold(request.workdir):
        check_sweep(request)
        write_json(request.workdir / SWEEP, _record(request))
        yield request.workdir


def _record(request: SweepRequest) -> dict[str, str]:
    return dict(sweep=request.asked)
