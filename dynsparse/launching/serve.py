"""A finished run, served under load."""

import argparse
import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator

from rich.console import Console

from dynsparse._internal.stop_signal import StopSignal
from dynsparse.bench.arrivals import PROFILES
from dynsparse.bench.options import LoadTestOptions
from dynsparse.launching.arguments import UserError, number
from dynsparse.launching.process import hush_libraries
from dynsparse.reports import read_run

_OPTIONS = dataclasses.asdict(LoadTestOptions())
_LOAD = "how many requests come over time; 1 is what the full model can serve"
_NUMBERS = (
    ("seconds", number(float, 3, 86_400), "seconds of each replay of the load"),
    ("rounds", number(int, 1, 1_000), "rounds, in which each policy is tried once"),
    ("request_size", number(int, 1, 65_536), "examples per request"),
    (
        "rungs",
        number(int, 2, 100),
        "budgets, at most; none below the densities trained at",
    ),
    (
        "lowest",
        number(float, 0.01, 0.9),
        "lowest budget, a fraction of the dense MACs",
    ),
    (
        "least_score",
        number(float, 0, 1),
        "on validation, for rungs that the controller may use",
    ),
    ("seed", number(int, 0, 2**32 - 1), "seed of the arrivals"),
)
_TRUST = (
    "import the classes outside this library that its config.json names, and so run "
    "their code: for folders whose maker you trust"
)


def add_verbs(verbs):
    """Adds the parser of `serve`."""
    text = "replay a load against the ladder of budgets of a finished run"
    parser = verbs.add_parser(
        "serve",
        help=text,
        description=f"{text.capitalize()}, with the controller and on each rung "
        "alone; write ladder.json, serving.csv and serving.png into a new folder, "
        "RUN_DIR/serve/LOAD-NUMBER.",
    )
    add = parser.add_argument
    add("run", type=pathlib.Path, metavar="RUN_DIR", help="folder of a finished run")
    add("--load", choices=sorted(PROFILES), help=f"{_LOAD} (%(default)s)")
    for name, kind, text in _NUMBERS:
        add(f"--{name}", type=kind, metavar="N", help=f"{text} (%(default)s)")
    add("--trust", action="store_true", help=_TRUST)
    parser.set_defaults(do=serve, **_OPTIONS)


def serve(values: argparse.Namespace, console: Console) -> int:
    """Replays a load against the ladder of a run; returns the exit status.

    Raises:
        DamagedFileError: If the folder holds no run that is finished.
        UserError: If a value does not fit the run.
    """
    read_run(values.run)
    hush_libraries()
    options = LoadTestOptions(**{name: getattr(values, name) for name in _OPTIONS})
    with (
        StopSignal(only_first=True) as stop,
        serve_folder(values.run, values.load) as folder,
    ):
        from dynsparse import training
        from dynsparse.bench.load_test import ServedModel, run_load_test

        try:
            run = training.restore(values.run, trust=values.trust)
            served = ServedModel(
                name=values.run.name,
                model=run.prepared.trainer.model(run.state),
                task=run.prepared.task,
                inputs=training.training_inputs(run.prepared),
                least_density=training.least_density(run.prepared),
            )
            stopped = lambda: stop.times > 0
            whole = run_load_test(
                served, options, folder, console=console, stopped=stopped
            )
        except ValueError as error:
            raise UserError(error) from error
        except KeyboardInterrupt:  # nothing had been measured yet
            console.print("stopped before anything was measured")
            return 130
    return 0 if whole else 130


@contextlib.contextmanager
def serve_folder(run: pathlib.Path, load: str) -> Iterator[pathlib.Path]:
    """Makes a new folder in that of a run, gone at the end if nothing is in it.

    Raises:
        UserError: If it cannot be made.
    """
    names = (f"{load}-{count}" for count in itertools.count(1))
    folders = (run / "serve" / name for name in names)
    folder = next(folder for folder in folders if not folder.is_dir())
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"serve: cannot write {folder}: {error}.") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()
