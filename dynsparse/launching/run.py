"""One run: from the command to its folder, its training and its table."""

import argparse
import contextlib
import importlib
import itertools
import json
import pathlib
import re
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console

from dynsparse import reports
from dynsparse.launching.arguments import (
    UserError,
    as_words,
    go_on,
    listed,
    spoken,
)
from dynsparse.launching.config import find_key, load_config, override
from dynsparse.launching.process import hush_libraries
from dynsparse.launching.workdir import check_config, claim

_WORDS = ("method", "model", "budget")  # that a run is asked for with
# What a run is called by, and so must have.
_NAMES = ("data.name", "model.name", "gate.name", *(f"names.{word}" for word in _WORDS))
_OWN = "own"  # the budget of a config that names none
_HELD = "pi_controller"  # the budget that holds any gate that learns what it opens
# What the sweep over targets sets in each trial, or the other budget has no key of.
_SET_BY_TARGETS = ("seed", "budget")
_LONGEST = 40  # characters of a word in the name of a folder


class RunRequest(NamedTuple):
    """One run, as asked for.

    Attributes:
        config: Complete, plain values as JSON gives them back.
        workdir: Folder of the run; it may not exist yet.
        command: Resumes the run.
        patience: Seconds to wait for another process that holds the folder.
    """

    config: Mapping[str, Any]
    workdir: pathlib.Path
    command: str
    patience: float = 0.0

    @property
    def title(self) -> str:
        """Name of the run in figures and tables."""
        return ", ".join(_name(self.config))


def _name(config: Mapping[str, Any]) -> list[str]:
    """The data of a run, and the words that its config was asked for with."""
    words = [config["names"][word] for word in _WORDS]
    return [config["data"]["name"], *(word for word in words if word != _OWN)]


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
    yield textwrap.fill("TASK: " + ", ".join(configs.tasks()), 80)
    for kind, table in configs.TABLES.items():
        rows = {name: row.advice for name, row in table.items()}
        yield f"\n{kind.upper()}:\n{listed(rows)}"


def read_request(values: argparse.Namespace) -> RunRequest:
    """Reads what a command asks to run.

    Raises:
        UserError: If a file, a key or a value is not accepted.
    """
    if not values.config:
        raise UserError("--config is missing, such as --config=cluttered_digits")
    config = load_config(values.config)
    if values.workdir == "":
        raise UserError("--workdir needs a value: --workdir=DIR")
    override(config, values.changes)
    for key in _NAMES:
        section, name = find_key(config, key)
        if not (section[name] and isinstance(section[name], str)):
            raise UserError(f"{key} must be a word, got {section[name]!r}")
    plain = json.loads(config.to_json_best_effort())
    workdir = pathlib.Path(values.workdir or _fresh_workdir(plain))
    return RunRequest(plain, workdir, go_on(values, workdir))


def _fresh_workdir(config: Mapping[str, Any]) -> pathlib.Path:
    words = (re.sub(r"[^A-Za-z0-9._+=]+", "_", word) for word in _name(config))
    stem = "-".join(word[:_LONGEST] for word in words).lstrip(".-")
    stem += time.strftime("-%Y%m%d-%H%M%S")
    names = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
    paths = (pathlib.Path("runs", name) for name in names)
    return next(path for path in paths if not path.exists())


def run(values: argparse.Namespace, console: Console) -> int:
    """Trains and evaluates a run, or shows what it left; returns the exit status."""
    request = read_request(values)
    check_config(request.workdir, request.config)
    result = reports.read_result(request.workdir, trained=True)
    if result is None and values.dry_run:
        _describe([request], console)
        return 0
    if result is None:
        results = run_together([request], console)
        if results is None:
            return 130
        (result,) = results
    more = another_point(request.config, values)
    console.print(reports.run_summary(result, request.workdir, more))
    return 0


def another_point(config: Mapping[str, Any], values: argparse.Namespace) -> str | None:
    """A line with the command that draws a curve, where a run is one point of it."""
    budget = config["budget"]
    if config["evaluation"]["densities"] or config["evaluation"]["budgets"]:
        return None
    if any("target" in aim for aim in (budget, *budget.get("penalties", {}).values())):
        file, _, argument = values.config.partition(":")
        method, model, *_ = [*argument.split(","), ""]
        task = f"--config={file}:{method},{model},{_HELD}"
        kept = [c for c in values.changes if c[0].split(".")[0] not in _SET_BY_TARGETS]
        words = ["sweep", "experiments/targets.py:full", task, *as_words(kept)]
        command = spoken(words)
        return f"one point of a curve; a sweep over targets draws it:  {command}"
    if "density" in budget:
        kept = [change for change in values.changes if change[0] != "budget.density"]
        other = as_words([*kept, ("budget.density", f"{budget['density'] / 2:g}")])
        command = spoken(["run", f"--config={values.config}", *other])
        return f"one point of a curve; another:  {command}"
    return None


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

    Raises:
        DamagedFileError: If no checkpoint of a run can be used.
        UserError: If a config is not accepted, or a folder is in use or of another run.
    """
    command = requests[0].command
    try:
        prepared = _describe(requests, console)
        from dynsparse import training

        with contextlib.ExitStack() as claims:
            for each in requests:
                claims.enter_context(claim(each.workdir, each.config, each.patience))
            console.print(f"resume   {command}")
            states = training.train_together(prepared, [r.workdir for r in requests])
            return [
                training.finish(
                    run, state, each.workdir, each.config, each.title, examine
                )
                for run, state, each in zip(prepared, states, requests, strict=True)
            ]
    except KeyboardInterrupt as stopped:  # training.Interrupted is one
        console.print(f"{str(stopped) or 'stopped'}; resume with  {command}")
        return None


def _describe(requests: Sequence[RunRequest], console: Console) -> list:
    """Prepares runs and says what they are; returns what was prepared."""
    hush_libraries()
    console.print("preparing the data and the model ...")
    from dynsparse import training

    first = requests[0]
    try:
        resumed = [training.has_checkpoint(request.workdir) for request in requests]
        configs = [request.config for request in requests]
        prepared = training.prepare_together(configs, resumed)
    except ValueError as error:
        raise UserError(error) from error
    console.print(training.describe(prepared[0], first.workdir, first.title))
    for note in dict.fromkeys(note for each in prepared for note in each.notes):
        console.print(f"note     {note}")
    return prepared
