"""The same trials as an array of Slurm jobs, through submitit.

Each job runs one bundle as it would run here, by a pool of its own. What survives of a
job that is preempted, requeued or cancelled is what its trial left in its folder, so
the folder of the sweep lies where every node sees it.
"""

import math
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching.console import make_console
from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.attempt import ATTEMPTS
from dynsparse.launching.sweep.board import Board
from dynsparse.launching.sweep.bundle import Bundle, bundles
from dynsparse.launching.sweep.pool import Pool
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.sweep.slots import compiled_once
from dynsparse.launching.sweep.source import ROOT
from dynsparse.launching.sweep.trial import Trial
from dynsparse.reports import read_result

_MARGIN = 180.0  # seconds of a job beside its trial: Slurm warns 90 before the end
_PAUSE = 2.0  # seconds between two looks at the queue
_REQUEUES = 1000  # of a job, more than a trial ever needs

_Jobs = dict[str, tuple[Trial, Any, int]]  # by name: submitit's job, its trials


class Job:
    """What a job runs: one bundle, in a pool of one slot.

    Args:
        workdir: Folder of the sweep.
        command: Goes on with the sweep.
        limit: Seconds that an attempt may take for each trial.
    """

    def __init__(self, workdir: pathlib.Path, command: str, limit: float | None):
        self._options = (workdir, command, limit)
        self._pool: Pool | None = None

    def __call__(self, bundle: Bundle) -> dict[str, str]:
        """Returns why trials failed, by name."""
        workdir, command, limit = self._options
        board = Board(make_console(), bundle, set(), jobs=1)
        with StopSignal(only_first=False) as stop:
            slot = {} if bundle[0].config is None else compiled_once(workdir)
            self._pool = Pool(
                workdir, command, slots=[slot], limit=limit, board=board, stop=stop
            )
            self._pool.run([bundle])
            left = [t for t in bundle if read_result(workdir / t.name) is None]
            if stop.times and left:
                while True:  # a job that returned would not be requeued
                    signal.pause()
        return board.complaints

    def checkpoint(self, bundle: Bundle) -> Any:
        """Stops the trials where they can resume; returns what a new job runs."""
        from submitit.helpers import DelayedSubmission  # pyright: ignore[reportMissingImports]

        if self._pool is not None:
            self._pool.end()
        return DelayedSubmission(Job(*self._options), bundle)


def run_on_slurm(
    request: SweepRequest, trials: Sequence[Trial], board: Board, stop: StopSignal
):
    """Submits `trials` and waits for them; cancels the jobs when a stop is asked for.

    Raises:
        UserError: If submitit or Slurm is missing, or Slurm takes no such jobs.
    """
    if not trials:
        return
    workdir = request.workdir.resolve()
    for trial in trials:
        trial.write(workdir, request.command)
    jobs = _submit(request, workdir, bundles(trials, request.together))
    running: set[str] = set()
    try:
        while jobs and not stop.times:
            _look(workdir, jobs, running, board)
            board.refresh()
            time.sleep(_PAUSE)
    finally:
        for trial, job, _ in jobs.values():
            job.cancel(check=False)
            if trial.name in running:
                board.stopped(trial, read_result(workdir / trial.name) is not None)


def _look(workdir: pathlib.Path, jobs: _Jobs, running: set[str], board: Board):
    """Takes the jobs that have ended out of `jobs`, and tells the board."""
    states = _queue()
    if states is None:
        return
    for name, (trial, job, together) in list(jobs.items()):
        state = states.get(job.job_id)
        if name not in running and state in ("RUNNING", None):
            running.add(name)
            board.started(trial, together)
        if state is not None:
            continue
        del jobs[name]
        if read_result(workdir / name) is not None:
            board.finished(trial)
        else:
            board.failed(trial, _complaint(job, name))


def _submit(
    request: SweepRequest, workdir: pathlib.Path, bundled: Sequence[Bundle]
) -> _Jobs:
    try:
        import submitit  # pyright: ignore[reportMissingImports]
        from submitit.core.utils import FailedJobError  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UserError("--slurm needs submitit: pip install submitit") from error
    if not shutil.which("sbatch"):
        raise UserError("--slurm: this machine has no sbatch; is Slurm installed?")
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    executor = submitit.SlurmExecutor(
        folder=workdir / ".slurm", max_num_timeout=_REQUEUES
    )
    most = max(map(len, bundled))
    seconds = ATTEMPTS * most * (request.limit or 0) + _MARGIN
    executor.update_parameters(
        job_name=request.experiment.name,
        partition=request.slurm,
        time=math.ceil(seconds / 60),
        array_parallelism=request.jobs,
        additional_parameters=dict(requeue=True),
    )
    job = Job(workdir, request.command, request.limit)
    try:
        submitted = executor.map_array(job, bundled)
    except FailedJobError as error:
        raise UserError(f"--slurm: {str(error).strip().splitlines()[-1]}") from error
    jobs = zip(bundled, submitted, strict=True)
    return {t.name: (t, job, len(bundle)) for bundle, job in jobs for t in bundle}


def _queue() -> dict[str, str] | None:
    """The state of each job that has not ended; None where Slurm does not answer."""
    asked = ("squeue", "--me", "--noheader", "--array", "--format=%i %T")
    listed = subprocess.run(asked, capture_output=True, text=True)
    if listed.returncode:
        return None
    pairs = (line.split() for line in listed.stdout.splitlines())
    return {number: state for number, state in pairs}


def _complaint(job: Any, name: str) -> str:
    """Why a job ended without the result of a trial, on one line."""
    if job.paths.result_pickle.exists() and job.exception() is None:
        return job.result().get(name, "not finished")
    return f"its job ended without a result; see {job.paths.stderr}"
