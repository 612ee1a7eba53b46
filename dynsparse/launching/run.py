"""One run: from the command to its folder, its training and its table."""

import argparse
import contextlib
import dataclasses
import importlib
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict
from rich.console import Console

from dynsparse import reports
from dynsparse.launching import naming
from dynsparse.launching.arguments import go_on, listed, spoken
from dynsparse.launching.config import check_key, load_config, override
from dynsparse.launching.errors import UserError
from dynsparse.launching.process import hush_libraries
from dynsparse.launching.workdir import check_config, claim

_NAMED = ("data", "model", "gate")  # sections that have names of their own
_HELD = "pi_controller"  # the budget that holds any gate that learns what it opens
# What the sweep over targets sets in each trial, or the other budget has no key of.
_OWN = ("seed", "budget")


@dataclasses.dataclass(frozen=True)
class RunRequest:
    """One run, as asked for.

    Attributes:
        config: Complete and locked.
        workdir: Folder of the run; it may not exist yet.
        command: Resumes the run.
        patience: Seconds to wait for another process that holds the folder.
        words: What followed --config, and each --config.KEY=VALUE; none for a trial of
            a sweep.
    """

    config: ConfigDict
    workdir: pathlib.Path
    command: str
    patience: float = 0.0
    words: Sequence[str] = ()

    @property
    def title(self) -> str:
        """Names the run in figures and tables."""
        return naming.title(self.plain_config)

    @property
    def plain_config(self) -> dict[str, Any]:
        """The config as JSON would give it back."""
        return json.loads(self.config.to_json_best_effort())

    @property
    def more(self) -> str | None:
        """The command that draws a curve, where the run is one point.

        For a config whose values have been checked.
        """
        points: Any = self.config.evaluation
        budget: Any = self.config.budget
        if not self.words or points.densities or points.budgets:
            return None
        asked, *given = self.words
        file, _, argument = asked.partition(":")
        penalties = budget.penalties.values() if "penalties" in budget else ()
        if any("target" in section for section in (budget, *penalties)):
            method, model, *_ = [*argument.split(","), ""]
            task = f"--config={file}:{method},{model},{_HELD}"
            kept = [word for word in given if _key(word).split(".")[0] not in _OWN]
            command = spoken(["sweep", "experiments/targets.py:full", task, *kept])
            return f"one point of a curve; a sweep over targets draws it:  {command}"
        if "density" in budget:
            kept = [word for word in given if _key(word) != "budget.density"]
            other = f"--config.budget.density={budget.density / 2:g}"
            command = spoken(["run", f"--config={asked}", *kept, other])
            return f"one point of a curve; another:  {command}"
        return None


def add_verbs(verbs):
    """Adds the parser of `run`."""
    text = "train one config, or resume it in the folder where it was left"
    parser = verbs.add_parser(
        "run",
        help=text,
        description=f"{text}.".capitalize(),
        epilog="\n".join(_choices()),
    )
    parser.add_argument(
        "--config",
        metavar="TASK[:METHOD[,MODEL[,BUDGET]]]",
        help="what to run, by the names below; TASK may also be the path of a file",
    )
    parser.add_argument(
        "--config.KEY",
        metavar="VALUE",
        help="another value, such as --config.train.num_steps=100, or another section, "
        """such as --config.gate='{"name": "my.gates:Mine", "width": 3}'""",
    )
    parser.add_argument(
        "--workdir",
        metavar="DIR",
        help="folder of the run, a fresh one under runs/ by default; the same command "
        "with the same folder goes on from the last checkpoint",
    )
    parser.add_argument(
        "--dry_run", action="store_true", help="say what would be run; write nothing"
    )
    parser.set_defaults(do=run)


def _choices() -> Iterator[str]:
    """What --config offers: the names, with a line of advice each."""
    configs: Any = importlib.import_module("dynsparse.configs")
    yield "TASK: " + ", ".join(configs.tasks())
    for kind, table in configs.TABLES.items():
        rows = {name: row.advice for name, row in table.items()}
        yield f"\n{kind.upper()}:\n{listed(rows)}"


def read_request(values: argparse.Namespace) -> RunRequest:
    """Reads what a command asks to run.

    Args:
        values: Of the flags above; the `changes` of the config, and the whole `argv`.

    Raises:
        UserError: If a file, a key or a value is not accepted.
    """
    if not values.config:
        raise UserError("--config is missing, such as --config=cluttered_digits")
    config = load_config(values.config)
    if values.workdir == "":
        raise UserError("--workdir needs a value: --workdir=DIR")
    said = override(config, values.changes)
    for section in _NAMED:
        check_key(config, f"{section}.name")
    naming.check_names(config)
    workdir = pathlib.Path(values.workdir or _fresh_workdir(config))
    command = go_on(values.argv, workdir, named=bool(values.workdir))
    return RunRequest(config, workdir, command, words=(values.config, *said))


def run(values: argparse.Namespace, console: Console) -> int:
    """Trains and evaluates a run, or shows what it left; returns the exit status."""
    request = read_request(values)
    check_config(request.workdir, request.plain_config)
    result = reports.read_result(request.workdir, trained=True)
    if result is None and values.dry_run:
        _describe([request], console)
        return 0
    if result is None:
        results = run_together([request], console)
        if results is None:
            return 130
        (result,) = results
    console.print(reports.run_summary(result, request.workdir, request.more))
    return 0


def run_together(
    requests: Sequence[RunRequest], console: Console, examine: Callable | None = None
) -> list[dict[str, Any]] | None:
    """Trains runs, several as one program, and evaluates each.

    Args:
        requests: Of configs that differ in names, seed and weights of penalties alone.
        console: Shows what happens.
        examine: What it returns of a trained state becomes a part of its result.

    Returns:
        The results, or None where this process was asked to stop.
    """
    try:
        return _run_together(requests, console, examine)
    except KeyboardInterrupt as stopped:  # training.Interrupted is one
        command = requests[0].command
        console.print(f"{str(stopped) or 'stopped'}; resume with  {command}")
        return None


def _run_together(requests, console, examine) -> list[dict[str, Any]]:
    prepared = _describe(requests, console)
    from dynsparse import training

    with contextlib.ExitStack() as claims:
        for each in requests:
            held = claim(each.workdir, each.plain_config, each.patience)
            claims.enter_context(held)
        console.print(f"resume   {requests[0].command}")
        try:
            states = training.train_together(prepared, [r.workdir for r in requests])
            return [
                training.finish(
                    run, state, each.workdir, each.plain_config, each.title, examine
                )
                for run, state, each in zip(prepared, states, requests, strict=True)
            ]
        except training.CheckpointError as error:
            raise UserError(error) from error


def _describe(requests: Sequence[RunRequest], console: Console) -> list:
    """Prepares runs and says what they are; returns what was prepared."""
    hush_libraries()
    console.print("preparing the data and the model ...")
    from dynsparse import training

    try:
        configs = [request.config.to_dict() for request in requests]
        resumed = [training.has_checkpoint(request.workdir) for request in requests]
        prepared = training.prepare_together(configs, resumed)
    except ValueError as error:
        raise UserError(error) from error
    console.print(
        training.describe(prepared[0], requests[0].workdir, requests[0].title)
    )
    for note in dict.fromkeys(note for each in prepared for note in each.notes):
        console.print(f"note     {note}")
    return prepared


def _key(word: str) -> str:
    return word.removeprefix("--config.").partition("=")[0]


def _fresh_workdir(config: ConfigDict) -> pathlib.Path:
    stem = f"{naming.stem(config.to_dict())}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = pathlib.Path("runs", stem), 1
    while path.exists():
        number += 1
        path = pathlib.Path("runs", f"{stem}-{number}")
    return path
