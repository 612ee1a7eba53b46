"""A sweep from its request to its report."""

import pathlib
import shlex
import sys
from collections.abc import Sequence

from rich.console import Console

from dynsparse._internal.atomic_write import is_full
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching.errors import ForeignError, UserError
from dynsparse.launching.sweep.board import Board
from dynsparse.launching.sweep.bundle import bundles
from dynsparse.launching.sweep.conclude import conclude
from dynsparse.launching.sweep.folder import check_sweep, claim_sweep
from dynsparse.launching.sweep.pool import Pool
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.sweep.slots import compiled_once, environments
from dynsparse.launching.sweep.slurm import run_on_slurm
from dynsparse.launching.sweep.trial import Trial
from dynsparse.reports import read_result


def conduct(request: SweepRequest, console: Console) -> int:
    """Runs what is not finished of a sweep, and writes its report.

    Args:
        request: The sweep.
        console: Shows what happens.

    Returns:
        The exit status: 0 done, 1 where a trial failed, 130 interrupted.

    Raises:
        UserError: If the folder is in use or holds something else, the disk is full, or
            nothing can be reported.
    """
    trials = request.experiment.trials(request.size, request.changes)
    check_sweep(request)
    if request.dry_run:
        return _list(request, trials, console)
    try:
        if request.report_only:
            return _report(request, trials, {}, console)
        return _run(request, trials, console)
    except ForeignError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    except OSError as error:
        if not is_full(error):
            raise
        raise UserError(
            f"no space left on the device of {request.workdir}; nothing that was "
            f"finished is lost: free some, then  {request.command}"
        ) from error


def _run(request: SweepRequest, trials: Sequence[Trial], console: Console) -> int:
    with claim_sweep(request) as workdir, StopSignal(only_first=False) as stop:
        done = {t.name for t in trials if read_result(workdir / t.name) is not None}
        console.print(f"go on with  {request.command}")
        with Board(console, trials, done, jobs=request.jobs) as board:
            left = [trial for trial in trials if trial.name not in done]
            if request.slurm is not None:
                run_on_slurm(request, left, board, stop)
            else:
                pool = Pool(
                    workdir,
                    request.command,
                    slots=_slots(request, workdir),
                    limit=request.limit,
                    board=board,
                    stop=stop,
                )
                pool.run(bundles(left, request.together))
        if stop.times:
            console.print(f"stopped; go on with  {request.command}")
            return 130
        for name, complaint in board.complaints.items():
            log = workdir / name / "log.txt"
            see = f"; see {log}" if log.exists() else ""
            console.print(f"failed  {name}: {complaint}{see}")
        if len(board.complaints) < len(trials):
            _report(request, trials, board.complaints, console)
        return 1 if board.complaints else 0


def _slots(request: SweepRequest, workdir: pathlib.Path) -> list[dict[str, str]]:
    """Trials that measure compile what they measure; those that train need not."""
    shared = {} if request.experiment.measured else compiled_once(workdir)
    return [slot | shared for slot in environments(request.jobs)]


def _report(
    request: SweepRequest,
    trials: Sequence[Trial],
    complaints: dict[str, str],
    console: Console,
) -> int:
    console.print(f"wrote {conclude(request, trials, complaints)}")
    if not request.experiment.measured:
        board = [sys.executable, "-m", "tensorboard.main"]
        board += ["--logdir", str(request.workdir)]
        console.print(f"explore  {shlex.join(board)}")
    return 0


def _list(request: SweepRequest, trials: Sequence[Trial], console: Console) -> int:
    """Prints the trials, their settings and which of them are finished."""
    for trial in trials:
        done = read_result(request.workdir / trial.name) is not None
        settings = ", ".join(f"{key}={value}" for key, value in trial.asked.items())
        console.print(f"{'finished' if done else 'to run':8}  {trial.name}  {settings}")
    console.print(f"{len(trials)} trials of {request.asked} in {request.workdir}")
    return 0
