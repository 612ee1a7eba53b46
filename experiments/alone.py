"""The one form of an experiment, and running it alone.

An experiment file imports no jax when it is imported and holds

- its docstring: the question, the command, `Claim: ...` and what would refute it;
- `sweep(add)`: one call of `add(**trial)` per trial;
- `measure(**trial)`: runs one trial and returns one row or several, plain values;
- `report(results)`: from all the rows to a `reports.Report`.

`run_alone` gives it `python -m experiments.NAME --out DIR`.
"""

import argparse
import concurrent.futures
import importlib
import json
import multiprocessing
import pathlib
import re
import types
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import Progress

from dynsparse.reports import Row, write_report


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

    name = name_of(experiment).rpartition(".")[2]
    write_report(
        out,
        experiment.report(rows),
        name=name,
        claim=claim(experiment),
        command=f"python -m experiments.{name} --out DIR",
        where=provenance(),
    )
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
