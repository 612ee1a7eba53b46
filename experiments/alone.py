"""The one form of an experiment, and running it alone.

An experiment file imports no jax when it is imported and holds

- its docstring: the question, the command, `Claim: ...` and what would refute it;
- `sweep(add)`: one call of `add(**trial)` per trial;
- `measure(**trial)`: runs one trial and returns one row or several, plain values;
- `report(results)`: from all the rows to a `Report`.

`run_alone` gives it `python -m experiments.NAME --out DIR`.
"""

import argparse
import concurrent.futures
import csv
import dataclasses
import importlib
import json
import multiprocessing
import pathlib
import re
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Report:
    """What an experiment says.

    Attributes:
        rows: Of the csv: every row with the same columns.
        columns: Those that the table of report.md shows.
        notes: Paragraphs below the table.
        figure: Draws on a new matplotlib figure, or None.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    notes: Sequence[str] = ()
    figure: Callable[[Any], None] | None = None


def claim(experiment: types.ModuleType) -> str:
    """The claim of an experiment, and what would refute it, on one line."""
    found = re.search(r"Claim: (.*?)\n\n", f"{experiment.__doc__}\n\n", re.S)
    if found is None:
        raise ValueError(f"the docstring of {experiment.__name__} states no claim.")
    return " ".join(found[1].split())


def trials_of(experiment: types.ModuleType) -> list[dict[str, Any]]:
    """The trials that `sweep` adds."""
    trials: list[dict[str, Any]] = []
    experiment.sweep(lambda **trial: trials.append(trial))
    return trials


def run_alone(experiment: types.ModuleType, argv: Sequence[str] | None = None):
    """Measures every trial, each in a process of its own, and writes the report.

    What one trial leaves behind, in memory or in compiled programs, cannot slow down
    the next: late in a process that had timed ten networks, two programs with the same
    instructions took times that differed by 14 %. Rows go to DIR/rows.jsonl as they
    come, with the trial that they belong to: the same command goes on where it stopped.

    Args:
        experiment: In the form above.
        argv: Arguments, those of the process where None.
    """
    parser = argparse.ArgumentParser(description=claim(experiment))
    parser.add_argument("--out", type=pathlib.Path, required=True, metavar="DIR")
    out: pathlib.Path = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    log = out / "rows.jsonl"
    done = dict(map(_entry, log.read_text().splitlines())) if log.exists() else {}
    console = Console(highlight=False, soft_wrap=True)
    trials = trials_of(experiment)
    with Progress(console=console) as progress:
        for trial in progress.track(trials, description="trials"):
            name = json.dumps(trial)
            if name in done:
                continue
            done[name] = _measure_apart(name_of(experiment), trial)
            with log.open("a") as file:
                file.write(json.dumps(dict(trial=trial, rows=done[name])) + "\n")
            progress.console.print(" ".join(f"{k}={v}" for k, v in trial.items()))
    rows = [row for trial in trials for row in done[json.dumps(trial)]]

    from dynsparse.training.provenance import provenance

    write(experiment, experiment.report(rows), out, provenance())
    log.unlink()
    console.print(f"wrote {out / 'report.md'}")


def name_of(experiment: types.ModuleType) -> str:
    """The dotted name of an experiment, also where it is the program that runs."""
    return experiment.__spec__.name if experiment.__spec__ else experiment.__name__


def _measure_apart(name: str, trial: Row) -> list[Row]:
    """Runs `measure` in a new process; what it raises is raised here."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_measure, name, trial).result()


def _measure(name: str, trial: Row) -> list[Row]:
    measured = importlib.import_module(name).measure(**trial)
    return measured if isinstance(measured, list) else [measured]


def _entry(line: str) -> tuple[str, list[Row]]:
    entry = json.loads(line)
    return json.dumps(entry["trial"]), entry["rows"]


def write(experiment: types.ModuleType, report: Report, out: pathlib.Path, where: Row):
    """Writes NAME.csv, report.md and figure.png into `out`.

    Args:
        experiment: Whose report it is.
        report: What it says.
        out: An existing folder.
        where: Commit, device and versions that the numbers come from.
    """
    name = name_of(experiment).rpartition(".")[2]
    with (out / f"{name}.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(report.rows[0]))
        table.writeheader()
        table.writerows(report.rows)
    lines = [
        f"# {name}",
        claim(experiment),
        f"`python -m experiments.{name} --out DIR`",
        f"`{json.dumps(where)}`",
        markdown_table(report.rows, report.columns),
        *report.notes,
    ]
    if report.figure is not None:
        import matplotlib.figure

        figure = matplotlib.figure.Figure(figsize=(9, 5), dpi=130, layout="constrained")
        report.figure(figure)
        figure.savefig(out / "figure.png")
        lines.append(f"![{name}](figure.png)")
    (out / "report.md").write_text("\n\n".join(lines) + "\n")


def markdown_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """`rows` as a table of `columns`; floats with four digits."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += [
        "| " + " | ".join(_cell(row[column]) for column in columns) + " |"
        for row in rows
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
