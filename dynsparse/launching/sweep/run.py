"""A sweep from its request to its report."""

from collections.abc import Sequence

from rich.console import Console

from dynsparse._internal.atomic_write import is_full, read_json, reading, write_json
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching import workdir as folders
from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.live_table import LiveTable
from dynsparse.launching.sweep.pool import Pool
from dynsparse.launching.sweep.report import write_report
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.sweep.slots import compiled_once, environments
from dynsparse.launching.sweep.slurm import run_on_slurm
from dynsparse.launching.sweep.trial import Trial, bundles
from dynsparse.reports import PUT_BACK, read_result


def run_sweep(request: SweepRequest, console: Console) -> int:
    """Run what is not finished of a sweep, and write its report.

    Args:
        request: The sweep.
        console: Shows what happens.

    Returns:
        The exit status: 0 done, 1 where a trial or the report failed, 130 interrupted.

    Raises:
        DamagedFileError: If a file of the sweep is damaged.
        UserError: If the folder is in use or holds something else, the disk is full, or
            nothing can be reported.
    """
    trials = request.experiment.trials(request.size, request.changes)
    _check_folder(request)
    if request.dry_run:
        return _list(request, trials, console)
    try:
        if request.report_only:
            return write_report(request, trials, {}, console)
        with folders.hold(request.workdir), StopSignal(only_first=False) as stop:
            _check_folder(request)
            write_json(request.workdir / folders.SWEEP, dict(sweep=request.asked))
            console.print(f"go on with  {request.command}")
            failed = _run(request, trials, console, stop)
            if stop.times:
                console.print(f"stopped; go on with  {request.command}")
                return 130
            if len(failed) == len(trials):
                return 1
            return write_report(request, trials, failed, console) or bool(failed)
    except OSError as error:
        if not is_full(error):
            raise
        raise UserError(
            f"no space left on the device of {request.workdir}; nothing that was "
            f"finished is lost: free some, then  {request.command}"
        ) from error


def _run(
    request: SweepRequest, trials: Sequence[Trial], console: Console, stop: StopSignal
) -> dict[str, str]:
    """Run what is not finished; return why trials failed, by name."""
    workdir = request.workdir
    done = {t.name for t in trials if read_result(workdir / t.name) is not None}
    left = [trial for trial in trials if trial.name not in done]
    with LiveTable(console, trials, done, jobs=request.jobs) as table:
        if request.slurm is not None:
            run_on_slurm(request, left, table, stop)
        else:  # trials that are measured compile what they measure
            shared = {} if request.experiment.measured else compiled_once(workdir)
            Pool(
                workdir,
                request.command,
                slots=[slot | shared for slot in environments(request.jobs)],
                limit=request.limit,
                table=table,
                stop=stop,
            ).run(bundles(left, request.together))
    for name, complaint in table.complaints.items():
        log = workdir / name / "log.txt"
        see = f"; see {log}" if log.exists() else ""
        console.print(f"failed  {name}: {complaint}{see}")
    return table.complaints


def _check_folder(request: SweepRequest):
    """Refuse a folder that holds a run, or a sweep of something else."""
    workdir = request.workdir
    if (workdir / folders.CONFIG).exists():
        raise UserError(f"--workdir: {workdir} holds a run, not a sweep.")
    folders.refuse_blocked(workdir, folders.SWEEP_FILES, folders.SWEEP_FOLDERS)
    recorded = read_json(workdir / folders.SWEEP, PUT_BACK)
    if recorded is not None and recorded != (wanted := dict(sweep=request.asked)):
        with reading(workdir / folders.SWEEP, PUT_BACK):
            there, here = recorded["sweep"], wanted["sweep"]
        raise UserError(f"--workdir: {workdir} holds a sweep of {there}, not {here}.")


def _list(request: SweepRequest, trials: Sequence[Trial], console: Console) -> int:
    """Print the trials, their settings and which of them are finished."""
    for trial in trials:
        done = read_result(request.workdir / trial.name) is not None
        settings = ", ".join(f"{key}={value}" for key, value in trial.asked.items())
        console.print(f"{'finished' if done else 'to run':8}  {trial.name}  {settings}")
    console.print(f"{len(trials)} trials of {request.asked} in {request.workdir}")
    return 0
