"""The report of a sweep, from the results that its trials left."""

import collections
import dataclasses
import os
import pathlib
import shlex
import sys
import tempfile
import traceback
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.console import Console

from dynsparse import reports
from dynsparse._internal.atomic_write import is_full, write_bytes
from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.sweep.trial import Trial
from dynsparse.launching.workdir import ERROR


def write_report(
    request: SweepRequest,
    trials: Sequence[Trial],
    complaints: Mapping[str, str],
    console: Console,
) -> int:
    """Write the report of the trials that are finished, to TensorBoard too.

    The report names the trials that are missing, and says whether commits or devices
    differ. Its files appear one by one, each whole.

    Args:
        request: The sweep.
        trials: All of the sweep.
        complaints: Why trials failed, by name.
        console: Is told where the report is.

    Returns:
        The exit status: 0, or 1 if the report of the experiment raises; error.txt then
        has the traceback.

    Raises:
        DamagedFileError: If the result.json of a trial is damaged.
        UserError: If no trial is finished.
    """
    workdir, experiment = request.workdir, request.experiment
    results: dict[str, Mapping[str, Any]] = {}
    for trial in trials:
        trained = trial.config is not None
        result = reports.read_result(workdir / trial.name, trained=trained)
        if result is not None:
            results[trial.name] = result
    if not results:
        raise UserError(f"no report: no trial of {workdir} is finished")
    done = [trial for trial in trials if trial.name in results]
    where = reports.common_origin(list(results.values()))
    with tempfile.TemporaryDirectory(dir=workdir, prefix=".report-") as folder:
        try:
            report = experiment.module.report(
                [row for trial in done for row in trial.rows(results[trial.name])]
            )
            notes = [
                *report.notes,
                *_differences(list(results.values())),
                *_missing(trials, results, complaints),
            ]
            reports.write_report(
                pathlib.Path(folder),
                dataclasses.replace(report, notes=notes),
                name=experiment.name,
                claim=experiment.claim,
                command=request.recorded,
                where=where,
                small=request.size == "small",
            )
        except Exception as error:  # an experiment is code, its figure too
            if isinstance(error, OSError) and is_full(error):
                raise
            told = "".join(traceback.format_exception(error)).encode()
            write_bytes(workdir / ERROR, told)
            few = f" on the {len(done)} of {len(trials)} trials that are finished"
            sys.stderr.write(
                f"failed: no report: report() of {experiment.path} raised"
                f"{few if len(done) < len(trials) else ''}: "
                f"{' '.join(f'{type(error).__name__}: {error}'.split())}; "
                f"the traceback is in {workdir / ERROR}\n"
            )
            return 1
        for file in pathlib.Path(folder).iterdir():
            os.replace(file, workdir / file.name)
    (workdir / ERROR).unlink(missing_ok=True)  # of a report before
    console.print(f"wrote {workdir / 'report.md'}")
    if not experiment.measured:
        points = [p for trial in done for p in trial.points(results[trial.name])]
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


def _missing(
    trials: Sequence[Trial], results: Collection[str], complaints: Mapping[str, str]
) -> list[str]:
    missing = [trial.name for trial in trials if trial.name not in results]
    if not missing:
        return []
    told = [f"- `{name}`: {complaints.get(name, 'not finished')}" for name in missing]
    return [f"Missing: {len(missing)} of {len(trials)} trials.", "\n".join(told)]
