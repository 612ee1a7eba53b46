"""The report of runs that no sweep made, compared as a sweep compares its own."""

import collections
import dataclasses
import os
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse.reports.comparison import compare_methods
from dynsparse.reports.metric import Metric
from dynsparse.reports.report import common_origin, write_report
from dynsparse.reports.runs import read_curve, read_run
from dynsparse.reports.telling import telling
from dynsparse.reports.tensorboard import write_board

_NO_METHOD = ("budget", "density", "seed")  # settings of a method, and its seeds


def summarize(runs: Sequence[pathlib.Path], folder: pathlib.Path) -> pathlib.Path:
    """Writes the report, the figure and the TensorBoard summary of finished runs.

    Args:
        runs: Folders of runs; those that differ in method, model or granularity are
            methods of the comparison, in budget or density settings of one, and in
            what else by a number.
        folder: Gets what the folder of a sweep has; made if it is not there.

    Returns:
        The path of report.md.

    Raises:
        ValueError: If there are no runs, or a file of one is missing or damaged.

    Example:
        >>> import pathlib
        >>> reports.summarize([], pathlib.Path("summary"))
        Traceback (most recent call last):
        ValueError: a summary needs at least one finished run, got none.
    """
    if not runs:
        raise ValueError("a summary needs at least one finished run, got none.")
    configs, results = zip(*map(read_run, runs), strict=True)
    metrics = [Metric.of(result).label for result in results]
    rows = _rows(runs, [telling(config) for config in configs], metrics)
    folder.mkdir(parents=True, exist_ok=True)
    named = shlex.join(os.fspath(run) for run in runs)
    write_report(
        folder,
        dataclasses.replace(compare_methods(rows), answer=""),  # nothing is claimed
        name=folder.resolve().name,
        claim="",
        command=f"python launch.py report {named} --workdir={folder}",
        where=common_origin(results),
    )
    write_board(folder, rows)
    return folder / "report.md"


def _rows(
    runs: Sequence[pathlib.Path],
    told: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
) -> list[dict[str, Any]]:
    """The points of the runs, with names that tell them apart."""
    apart = {key for key in told[0] if len({str(words[key]) for words in told}) > 1}
    named = [key for key in told[0] if key in apart - {*_NO_METHOD, "method"}]
    rows, taken = [], collections.Counter()
    for run, words, metric in zip(runs, told, metrics, strict=True):
        names = [words["method"], *(words[key] for key in named)]
        method = ", ".join(str(name) for name in names if name is not None)
        setting = " ".join(str(words[k]) for k in ("budget", "density") if words[k])
        taken[method, setting, words["seed"]] += 1
        number = taken[method, setting, words["seed"]]
        place = dict(
            method=method if number == 1 else f"{method} #{number}",
            setting=setting or "any",
            seed=words["seed"],
            trial=str(run),
            metric=metric,
        )
        rows += [place | row for row in read_curve(run)]
    return rows
