"""Finished runs side by side, and the report of a sweep that is not finished."""

import argparse
import pathlib

from rich.console import Console

from dynsparse import reports
from dynsparse.launching.errors import UserError
from dynsparse.launching.sweeps import report_sweep
from dynsparse.launching.workdir import SWEEP


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
        DamagedFileError: If a file of a run or a trial is damaged.
        UserError: If nothing is finished, or runs have no folder for their report.
    """
    first, *others = values.folders
    if not others and (first / SWEEP).exists():
        return report_sweep(first, console)
    if values.workdir is None:
        raise UserError("report: the report of runs needs a folder: --workdir=DIR")
    console.print(f"wrote {reports.summarize(values.folders, values.workdir)}")
    return 0
