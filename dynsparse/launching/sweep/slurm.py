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
from dynsparse.launching.errors import UserError
from dynsparse.launching.process import make_console
from dynsparse.launching.sweep.live_table import LiveTable
from dynsparse.launching.sweep.pool import ATTEMPTS, Pool
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.sweep.slots import compiled_once, search_path
from dynsparse.launching.sweep.trial import Bundle, Trial, bundles
from dynsparse.reports import read_result

_MARGIN = 180.0  # seconds of a job beside its trial: Slurm warns 90 before the end
_PAUSE = 2.0  # seconds between two looks at the queue
_REQUEUES = 1000  # of a job, more than a trial ever needs

_Jobs = dict[str, tuple[Trial, Any, int]]  # by name: submitit's job, its trials


class Job:
    """A job on a node: one bundle, in a pool of one slot.

    Args:
        workdir: Folder of the sweep.
        command: Goes on with the sweep.
        limit: Seconds that an attempt may take for each trial.
    """

    def __init__(self, workdir: pathlib.Path, command: str, limit: float | None):
        self._options = (workdir, command, limit)
        self._pool: Pool | None = None

    def __call__(self, bundle: Bundle) -> dict[str, str]:
        """Run the bundle; return why trials failed, by name."""
        workdir, command, limit = self._options
        table = LiveTable(make_console(), bundle, set(), jobs=1)
        slot = {} if bundle[0].config is None else compiled_once(workdir)
        with StopSignal(only_first=False) as stop:
            self._pool = Pool(
                workdir, command, slots=[slot], limit=limit, table=table, stop=stop
            )
            self._pool.run([bundle])
            left = [t for t in bundle if read_result(workdir / t.name) is None]
            while stop.times and left:  # a job that returned would not be requeued
                signal.pause()
        return table.complaints

    def checkpoint(self, bundle: Bundle) -> Any:
        """Stop the trials where they can resume; return what a new job runs."""
        from submitit.helpers import DelayedSubmission  # pyright: ignore[reportMissingImports]

        if self._pool is not None:
            self._pool.end()
        return DelayedSubmission(Job(*self._options), bundle)


def run_on_slurm(
    request: SweepRequest, trials: Sequence[Trial], table: LiveTable, stop: StopSignal
):
    """Submit trials and wait for them; cancel the jobs when a stop is asked for.

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
            _look(workdir, jobs, running, table)
            time.sleep(_PAUSE)
    finally:
        for trial, job, _ in jobs.values():
            job.cancel(check=False)
            if trial.name in running:
                done = read_result(workdir / trial.name) is not None
                table.ended(trial, "finished" if done else "stopped")


def _look(workdir: pathlib.Path, jobs: _Jobs, running: set[str], table: LiveTable):
    """Take the jobs that have ended out of `jobs`, and tell the table."""
    asked = ("squeue", "--me", "--noheader", "--array", "--format=%i %T")
    listed = subprocess.run(asked, capture_output=True, text=True)
    if listed.returncode:  # Slurm does not answer
        return
    states = dict(line.split() for line in listed.stdout.splitlines())
    for name, (trial, job, together) in list(jobs.items()):
        state = states.get(job.job_id)
        if name not in running and state in ("RUNNING", None):
            running.add(name)
            table.started(trial, together)
        if state is not None:
            continue
        del jobs[name]
        if read_result(workdir / name) is not None:
            table.ended(trial, "finished")
        elif job.paths.result_pickle.exists() and job.exception() is None:
            table.ended(trial, "failed", job.result().get(name, "not finished"))
        else:
            told = f"its job ended without a result; see {job.paths.stderr}"
            table.ended(trial, "failed", told)


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
    os.environ.update(search_path())  # by which jobs find the library
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
