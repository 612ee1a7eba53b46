"""The report of a sweep, from the results that its trials left."""

import collections
import dataclasses
import os
import pathlib
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse._internal.atomic_write import write_bytes
from dynsparse.launching.errors import ForeignError, UserError
from dynsparse.launching.sweep.request import SweepRequest
from dynsparse.launching.sweep.trial import Trial
from dynsparse.launching.workdir import ERROR
from dynsparse.reports import common_origin, read_result, write_board, write_report


def conclude(
    request: SweepRequest, trials: Sequence[Trial], complaints: Mapping[str, str]
) -> pathlib.Path:
    """Writes the report of the trials that are finished, to TensorBoard too.

    It names those that are missing, and says whether commits or devices differ. Its
    files appear one by one, each whole.

    Args:
        request: The sweep.
        trials: All of it.
        complaints: Why trials failed, by name.

    Returns:
        The path of report.md.

    Raises:
        DamagedFileError: If the result.json of a trial is damaged.
        ForeignError: If the report of the experiment raises; error.txt has the
            traceback.
        UserError: If no trial is finished.
    """
    workdir, experiment = request.workdir, request.experiment
    results = {
        trial.name: read_result(workdir / trial.name, trained=trial.config is not None)
        for trial in trials
    }
    done = {name: result for name, result in results.items() if result is not None}
    if not done:
        raise UserError(f"no report: no trial of {workdir} is finished")
    whole = [trial for trial in trials if trial.name in done]
    rows = [row for trial in whole for row in trial.rows(done[trial.name])]
    missing = [name for name in results if name not in done]
    notes = _differences(list(done.values()))
    notes += _missing(missing, results, complaints)
    try:
        report = experiment.module.report(rows)
    except Exception as error:
        raise _told(request, error, len(done), len(results)) from error
    with tempfile.TemporaryDirectory(dir=workdir, prefix=".report-") as folder:
        try:
            write_report(
                pathlib.Path(folder),
                dataclasses.replace(report, notes=[*report.notes, *notes]),
                name=experiment.name,
                claim=experiment.claim,
                command=request.recorded,
                where=common_origin(list(done.values())),
                small=request.size == "small",
            )
        except OSError:
            raise
        except Exception as error:  # the figure is code of the experiment, too
            raise _told(request, error, len(done), len(results)) from error
        for file in pathlib.Path(folder).iterdir():
            os.replace(file, workdir / file.name)
    (workdir / ERROR).unlink(missing_ok=True)  # of a report before
    if not experiment.measured:
        points = [p for trial in whole for p in trial.points(done[trial.name])]
        write_board(workdir, points)
    return workdir / "report.md"


def _told(
    request: SweepRequest, error: Exception, done: int, trials: int
) -> ForeignError:
    path = request.workdir / ERROR
    write_bytes(path, "".join(traceback.format_exception(error)).encode())
    what = f"no report: report() of {request.experiment.path} raised"
    if done < trials:
        what += f" on the {done} of {trials} trials that are finished"
    return ForeignError(what, error, path)


def _differences(results: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    for key in ("commit", "device"):
        counts = collections.Counter(str(result[key]) for result in results)
        if len(counts) > 1:
            listed = ", ".join(f"{value} ({n} trials)" for value, n in counts.items())
            notes.append(f"The trials differ in their {key}: {listed}.")
    return notes


def _missing(
    missing: Sequence[str], every: Mapping[str, Any], complaints: Mapping[str, str]
) -> list[str]:
    if not missing:
        return []
    lines = [f"Missing: {len(missing)} of {len(every)} trials."]
    for name in missing:
        lines.append(f"- `{name}`: {complaints.get(name, 'not finished')}")
    return [lines[0], "\n".join(lines[1:])]
