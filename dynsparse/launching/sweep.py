"""A sweep, from its command to its report."""

import argparse
import pathlib
from collections.abc import Iterator

from rich.console import Console

from dynsparse._internal.atomic_write import write_json
from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching.arguments import UserError, go_on, listed, number
from dynsparse.launching.experiment import Sweep, load_sweep
from dynsparse.launching.live_table import LiveTable
from dynsparse.launching.places import Place, devices, places_here, places_on_slurm
from dynsparse.launching.pool import Pool
from dynsparse.launching.report import read_sweep, write_report
from dynsparse.launching.shipped import HOME
from dynsparse.launching.trial import STOPPED, bundles
from dynsparse.launching.workdir import CONFIG, SWEEP, hold
from dynsparse.reports import read_result

_JOBS = 64  # that are queued or run at once on a cluster, where none are asked for


def add_verbs(verbs):
    """Adds the parser of `sweep`."""
    parser = verbs.add_parser(
        "sweep",
        help="run the trials of an experiment and write its report",
        description="Run the trials of an experiment, each in a process of its own, "
        "and write report.md, report.csv and figures. The same command goes on where "
        "it stopped: finished trials are skipped, others resumed.",
        epilog=f"EXPERIMENT:\n{listed(dict(_experiments()))}",
    )
    add = parser.add_argument
    add(
        "experiment",
        metavar="EXPERIMENT[:SIZE]",
        help="name of an experiment below, or path of a file; SIZE is small, which "
        "takes minutes and claims nothing, or full",
    )
    add(
        "--workdir",
        metavar="DIR",
        help="folder of the sweep; runs/NAME-SIZE by default",
    )
    add(
        "--config",
        default="",
        metavar="TASK",
        help="task of all trials that train, in place of the experiment's; each keeps "
        "its method",
    )
    add("--config.KEY", metavar="VALUE", help="another value for all trials")
    add(
        "--jobs",
        type=number(int, 1),
        metavar="N",
        help="trials at the same time: on the CPU they share the cores, and with GPUs "
        "each sees one; as many as there are GPUs by default, or 1",
    )
    add(
        "--together",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="trials that one process may train as one program, where their configs "
        "differ in seed and weights of penalties alone: pays on a GPU that one of them "
        "leaves idle",
    )
    add(
        "--limit",
        type=number(float, 1),
        metavar="SECONDS",
        help="after which a trial counts as hung and is killed; a trial that dies is "
        "tried once more",
    )
    add("--dry_run", action="store_true", help="print the trials")
    add(
        "--slurm",
        metavar="PARTITION",
        help="run the trials as jobs there; --jobs bounds how many are queued or run "
        f"at once, {_JOBS} by default, and sbatch's own variables, such as "
        "SBATCH_GRES=gpu:1, say what else a job gets",
    )
    parser.set_defaults(do=run_sweep)


def _experiments() -> Iterator[tuple[str, str]]:
    """Names of the experiments that travel with the library, and what they ask."""
    for file in sorted((HOME / "experiments").glob("[!_]*.py")):
        text = file.read_text()
        if "\ndef sweep(" in text:
            question, *_ = text.removeprefix('"""').splitlines()
            yield file.stem, question


def run_sweep(values: argparse.Namespace, console: Console) -> int:
    """Run what is not finished of a sweep, and write its report; return the status.

    Raises:
        DamagedFileError: If a file of the sweep is damaged.
        OSError: If the disk is full.
        UserError: If a value is not accepted, the folder is in use or holds something
            else, or nothing can be reported.
    """
    sweep = load_sweep(values.experiment, values.config, values.changes)
    _check_values(values, sweep)
    trials = sweep.trials()
    workdir = pathlib.Path(values.workdir or f"runs/{sweep.name}-{sweep.size}")
    _check_folder(workdir, sweep)
    finished = lambda trial: read_result(workdir / trial.name) is not None
    done = {trial.name for trial in trials if finished(trial)}
    if values.dry_run:
        for trial in trials:
            state = "finished" if trial.name in done else "to run"
            settings = ", ".join(f"{key}={value}" for key, value in trial.asked.items())
            console.print(f"{state:8}  {trial.name}  {settings}")
        console.print(f"{len(trials)} trials of {sweep.asked} in {workdir}")
        return 0
    places = _places(values, sweep)
    command = go_on(values, workdir)
    with hold(workdir), StopSignal(only_first=False) as stop:
        write_json(workdir / SWEEP, dict(sweep=sweep.asked))
        console.print(f"go on with  {command}")
        names, at_once = [trial.name for trial in trials], len(places) * values.together
        with LiveTable(console, names, done, at_once=at_once) as table:
            left = [trial for trial in trials if trial.name not in done]
            pool = Pool(workdir, command, places, values.limit, table, stop)
            pool.run(bundles(left, values.together))
        for name, complaint in table.complaints.items():
            console.print(f"failed  {name}: {complaint}; see {workdir / name}/log.txt")
        if stop.times:
            console.print(f"stopped; go on with  {command}")
            return STOPPED
        failed = len(table.complaints)
        if failed == len(trials):
            return 1
        wrote = write_report(workdir, sweep, trials, table.complaints, console)
        return wrote or int(failed > 0)


def _check_values(values: argparse.Namespace, sweep: Sweep):
    """Refuse what the trials of an experiment cannot do."""
    if sweep.has("ALONE") and (values.jobs or 1) > 1:
        raise UserError(
            f"--jobs={values.jobs}: {sweep.path} measures times, so its trials run "
            "alone (ALONE = True there); accepted: 1"
        )
    if sweep.has("measure") and values.together > 1:
        raise UserError(
            f"--together={values.together}: trials of {sweep.path} are measured, not "
            "trained; accepted: 1"
        )
    if values.slurm and not values.limit:
        raise UserError("--slurm needs --limit, the seconds that a trial may take")


def _check_folder(workdir: pathlib.Path, sweep: Sweep):
    """Refuse a folder that holds a run, or a sweep of something else."""
    if (workdir / CONFIG).exists():
        raise UserError(f"--workdir: {workdir} holds a run, not a sweep.")
    recorded = read_sweep(workdir)
    if recorded not in (None, sweep.asked):
        raise UserError(
            f"--workdir: {workdir} holds a sweep of {recorded}, not {sweep.asked}."
        )


def _places(values: argparse.Namespace, sweep: Sweep) -> list[Place]:
    most = _JOBS if values.slurm else max(1, len(devices()))
    jobs = values.jobs or (1 if sweep.has("ALONE") else most)
    if not values.slurm:
        return places_here(jobs)
    return places_on_slurm(jobs, values.slurm, values.limit * values.together)
