"""Sweeps, from the command line: their trials, and the processes that run these."""

import argparse
import dataclasses
import pathlib
import shlex
from collections.abc import Iterator, Sequence

from rich.console import Console

from dynsparse._internal.atomic_write import read_json, reading
from dynsparse.launching import sweep
from dynsparse.launching.arguments import listed
from dynsparse.launching.run import run_together
from dynsparse.launching.shipped import HOME
from dynsparse.launching.workdir import SWEEP
from dynsparse.reports import PUT_BACK, read_result


def add_verbs(verbs):
    """Adds the parser of `sweep`."""
    text = "run the trials of an experiment and write its report"
    parser = verbs.add_parser(
        "sweep",
        help=text,
        description="Run the trials of an experiment, each in a process of its own, "
        "and write report.md, report.csv and figures. The same command goes on where "
        "it stopped: finished trials are skipped, others resumed.",
        epilog=f"EXPERIMENT:\n{listed(dict(_experiments()))}",
    )
    sweep.add_arguments(parser)
    parser.set_defaults(do=run_sweep)


def _experiments() -> Iterator[tuple[str, str]]:
    """Names of the experiments that travel with the library, and what they ask."""
    for file in sorted((HOME / "experiments").glob("[!_]*.py")):
        text = file.read_text()
        if "\ndef sweep(" in text:
            question, *_ = text.removeprefix('"""').splitlines()
            yield file.stem, question


def run_sweep(values: argparse.Namespace, console: Console) -> int:
    """Runs what is not finished of a sweep; returns the exit status."""
    return sweep.run_sweep(sweep.read_request(values), console)


def report_sweep(folder: pathlib.Path, console: Console) -> int:
    """Writes the report of the finished trials of a sweep; returns the exit status.

    Raises:
        DamagedFileError: If a file of the sweep is damaged.
        UserError: If no trial is finished.
    """
    recorded = read_json(folder / SWEEP, PUT_BACK)
    with reading(folder / SWEEP, PUT_BACK):
        words = shlex.split((recorded or {})["sweep"])
    request = sweep.requested([*words, f"--workdir={folder}"])
    return sweep.run_sweep(dataclasses.replace(request, report_only=True), console)


def run_trials(folders: Sequence[str], console: Console) -> int:
    """Runs trials in the process that their launcher made for them."""
    asked = [(pathlib.Path(f), *sweep.read_trial(pathlib.Path(f))) for f in folders]
    sweep.stop_with_launcher()
    requests, examine = [], None
    for folder, found, request in asked:
        if read_result(folder) is not None:
            continue
        if request is None:
            sweep.measure(found, folder)
        else:
            requests.append(request)
            examine = sweep.examiner(found)
    if requests and run_together(requests, console, examine) is None:
        return sweep.STOPPED
    return 0
