"""Runs that no sweep made, compared as a sweep compares its own."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from dynsparse.reports.board import write_board
from dynsparse.reports.comparison import compare_methods
from dynsparse.reports.curve import read_curve
from dynsparse.reports.origin import common_origin
from dynsparse.reports.records import read_run
from dynsparse.reports.report import write_report
from dynsparse.reports.telling import telling

_CLAIM = "Runs side by side: accuracy and time against cost."
_NO_METHOD = ("budget", "density", "seed")  # settings of a method, and its seeds


def summarize(runs: Sequence[pathlib.Path], folder: pathlib.Path) -> pathlib.Path:
    """Writes the report, the figure and the TensorBoard summary of finished runs.

    Args:
        runs: Their folders; those that differ in method, model or granularity are
            methods of the comparison, in budget or density settings of one, and in
            what else by a number.
        folder: Gets what the folder of a sweep has; made where it is not there.

    Returns:
        The path of report.md.

    Raises:
        ValueError: If there are no runs, or a file of one is missing or damaged.
    """
    if not runs:
        raise ValueError("a summary needs at least one finished run, got none.")
    configs, results = zip(*map(read_run, runs), strict=True)
    rows = _rows(runs, [telling(config) for config in configs])
    folder.mkdir(parents=True, exist_ok=True)
    write_report(
        folder,
        compare_methods(rows),
        name=folder.resolve().name,
        claim=_CLAIM,
        command=f"reports.summarize({[os.fspath(run) for run in runs]})",
        where=common_origin(results),
    )
    write_board(folder, rows)
    return folder / "report.md"


def _rows(runs: Sequence[pathlib.Path], told) -> list[dict[str, Any]]:
    """The points of the runs, with names that tell them apart."""
    apart = {key for key in told[0] if len({str(words[key]) for words in told}) > 1}
    named = sorted(apart - {*_NO_METHOD, "method"}, key=list(told[0]).index)
    rows, taken = [], set()
    for run, words in zip(runs, told, strict=True):
        names = [words["method"], *(words[key] for key in named)]
        method = base = ", ".join(str(name) for name in names if name is not None)
        setting = " ".join(str(words[k]) for k in ("budget", "density") if words[k])
        number = 1
        while (method, setting, words["seed"]) in taken:
            number += 1
            method = f"{base} #{number}"
        taken.add((method, setting, words["seed"]))
        place = dict(method=method, setting=setting or "any", seed=words["seed"])
        rows += [place | dict(trial=str(run)) | row for row in read_curve(run)]
    return rows
