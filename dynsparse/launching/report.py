"""Finished runs side by side, and the report of a sweep from what its trials left."""

import argparse
import collections
import dataclasses
import pathlib
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from dynsparse import reports
from dynsparse._internal.atomic_write import is_full, read_json, reading, write_bytes
from dynsparse.launching.arguments import UserError, split_changes
from dynsparse.launching.experiment import Sweep, load_sweep
from dynsparse.launching.trial import Trial
from dynsparse.launching.workdir import SWEEP

ERROR = "error.txt"


def add_verbs(verbs):
    """Adds the parsers of `compare` and `report`."""
    text = "print what finished runs differ in, then their numbers"
    parser = verbs.add_parser("compare", help=text, description=f"{text}.".capitalize())
    folder = dict(type=pathlib.Path, nargs="+")
    parser.add_argument("runs", metavar="RUN_DIR", help="two folders or more", **folder)
    parser.set_defaults(do=compare)
    text = "write the report of a sweep's finished trials, or of several runs"
    parser = verbs.add_parser("report", help=text, description=f"{text}.".capitalize())
    parser.add_argument(
        "folders",
        metavar="DIR",
        help="a sweep, which gets the report; or finished runs, to be compared by "
        "method, model and setting",
        **folder,
    )
    parser.add_argument(
        "--workdir",
        type=pathlib.Path,
        metavar="DIR",
        help="folder of the report of runs",
    )
    parser.set_defaults(do=report)


def compare(values: argparse.Namespace, console: Console) -> int:
    """Prints a comparison of finished runs; returns the exit status.

    Raises:
        DamagedFileError: If one is not the folder of a finished run.
        UserError: If there are fewer than two.
    """
    if len(values.runs) < 2:
        raise UserError(
            f"compare needs two folders of runs or more, got {len(values.runs)}; a run "
            "alone prints its table when its own command is given again."
        )
    console.print(reports.compare_runs(values.runs))
    return 0


def report(values: argparse.Namespace, console: Console) -> int:
    """Writes the report of a sweep or of several runs; returns the exit status.

    Raises:
        DamagedFileError: If a file of a sweep, a run or a trial is damaged.
        UserError: If nothing is finished, or runs have no folder for their report.
    """
    folder, *others = values.folders
    if not others and (asked := read_sweep(folder)) is not None:
        with reading(folder / SWEEP, reports.PUT_BACK):
            changes, (experiment, *task) = split_changes(shlex.split(asked))
        config = "".join(task).removeprefix("--config=")
        sweep = load_sweep(experiment, config, changes)
        return write_report(folder, sweep, sweep.trials(), {}, console)
    if values.workdir is None:
        raise UserError("report: the report of runs needs a folder: --workdir=DIR")
    console.print(f"wrote {reports.summarize(values.folders, values.workdir)}")
    return 0


def read_sweep(folder: pathlib.Path) -> str | None:
    """What a folder holds a sweep of, as after `sweep`; None where it holds none.

    Raises:
        DamagedFileError: If its sweep.json is damaged.
    """
    recorded = read_json(folder / SWEEP, reports.PUT_BACK)
    if recorded is None:
        return None
    with reading(folder / SWEEP, reports.PUT_BACK):
        sweep = recorded["sweep"]
        if not isinstance(sweep, str):
            raise TypeError(f"sweep is {sweep!r}, not a text")
        return sweep


def write_report(
    workdir: pathlib.Path,
    sweep: Sweep,
    trials: Sequence[Trial],
    complaints: Mapping[str, str],
    console: Console,
) -> int:
    """Write the report of the trials that are finished, to TensorBoard too.

    The report names the trials that are missing, and says whether commits or devices
    differ.

    Args:
        workdir: Folder of the sweep.
        sweep: What was asked for.
        trials: All of the sweep.
        complaints: Why trials failed, by name.
        console: Is told where the report is.

    Returns:
        The exit status: 0, or 1 if `report` of the experiment raises; error.txt then
        has the traceback.

    Raises:
        DamagedFileError: If the result.json of a trial is damaged.
        UserError: If no trial is finished.
    """
    trained = not sweep.has("measure")
    read = lambda trial: reports.read_result(workdir / trial.name, trained=trained)
    found = [(trial, read(trial)) for trial in trials]
    done = [(trial, result) for trial, result in found if result is not None]
    if not done:
        raise UserError(f"no report: no trial of {workdir} is finished")
    results = [result for _, result in done]
    missing = [trial.name for trial, result in found if result is None]
    try:
        rows = [row for trial, result in done for row in trial.rows(result)]
        told = sweep.module.report(rows)
        notes = [*told.notes, *_differences(results)]
        if missing:
            notes.append(f"Missing: {len(missing)} of {len(trials)} trials.")
            why = {name: complaints.get(name, "not finished") for name in missing}
            notes.append("\n".join(f"- `{name}`: {why[name]}" for name in why))
        reports.write_report(
            workdir,
            dataclasses.replace(told, notes=notes),
            name=sweep.name,
            claim=sweep.claim,
            command=f"python launch.py sweep {sweep.asked} --workdir=DIR",
            where=reports.common_origin(results),
            small=sweep.size == "small",
        )
    except Exception as error:  # an experiment is code, its figure too
        if isinstance(error, OSError) and is_full(error):
            raise
        trace = "".join(traceback.format_exception(error)).encode()
        write_bytes(workdir / ERROR, trace)
        few = f" on the {len(done)} of {len(trials)} trials that are finished"
        sys.stderr.write(
            f"failed: no report: report() of {sweep.path} raised"
            f"{few if missing else ''}: "
            f"{' '.join(f'{type(error).__name__}: {error}'.split())}; "
            f"the traceback is in {workdir / ERROR}\n"
        )
        return 1
    (workdir / ERROR).unlink(missing_ok=True)  # of a report before
    console.print(f"wrote {workdir / 'report.md'}")
    if trained:
        points = [point for trial, result in done for point in trial.curve(result)]
        reports.write_board(workdir, points)
        board = [sys.executable, "-m", "tensorboard.main", "--logdir", str(workdir)]
        console.print(f"explore  {shlex.join(board)}")
    return 0


def _differences(results: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    for key in ("commit", "device"):
        counts = collections.Counter(str(result[key]) for result in results)
        if len(counts) > 1:
            listed = ", ".join(f"{value} ({n} trials)" for value, n in counts.items())
            notes.append(f"The trials differ in their {key}: {listed}.")
    return notes
