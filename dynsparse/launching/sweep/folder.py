"""The folder of a sweep: one experiment, one launcher."""

import contextlib
import pathlib
from collections.abc import Iterator

from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.workdir import hold, read_json
from dynsparse.whole import write_json


def check_sweep(request: SweepRequest):
    """Refuses a folder that holds a run, or a sweep of something else.

    Raises:
        UserError: With what it holds.
    """
    workdir = request.workdir
    if (workdir / "config.json").is_file():
        raise UserError(f"--workdir: {workdir} holds a run, not a sweep.")
    recorded, wanted = read_json(workdir / "sweep.json"), _record(request)
    if recorded not in (None, wanted):
        there, here = recorded["sweep"], wanted["sweep"]
        raise UserError(f"--workdir: {workdir} holds a sweep of {there}, not {here}.")


@contextlib.contextmanager
def claim_sweep(request: SweepRequest) -> Iterator[pathlib.Path]:
    """Holds the folder of a sweep for this process and records the sweep in it.

    Raises:
        UserError: If another process holds it, or it holds something else.
    """
    with hold(request.workdir):
        check_sweep(request)
        write_json(request.workdir / "sweep.json", _record(request))
        yield request.workdir


def _record(request: SweepRequest) -> dict[str, str]:
    return dict(sweep=request.asked)
