"""From the command line to a checked request for a sweep."""

import argparse
import dataclasses
import pathlib
import shlex
from collections.abc import Sequence

from dynsparse.launching.arguments import Parser, go_on, number, split_changes
from dynsparse.launching.errors import UserError
from dynsparse.launching.sweep.experiment_file import SIZES, ExperimentFile
from dynsparse.launching.sweep.slots import devices
from dynsparse.launching.sweep.trial import Changes

_ARRAY = 256  # jobs that run at once on a cluster, where none are asked for


@dataclasses.dataclass(frozen=True)
class SweepRequest:
    """A sweep, as asked for.

    Attributes:
        experiment: What it asks.
        size: One of `SIZES`.
        workdir: Folder of the sweep; it may not exist yet.
        command: Goes on with the sweep.
        changes: What it wants otherwise than the experiment.
        jobs: Trials that run at the same time.
        together: Trials that may run as one program, if their configs differ in seed
            and weights of penalties alone.
        limit: Seconds that a trial may take; None for as long as it wants.
        dry_run: Whether to print the trials only.
        report_only: Whether to write the report of what is finished only.
        slurm: Partition of the Slurm cluster that runs the trials; None for this
            machine.
    """

    experiment: ExperimentFile
    size: str
    workdir: pathlib.Path
    command: str
    changes: Changes = Changes()
    jobs: int = 1
    together: int = 1
    limit: float | None = None
    dry_run: bool = False
    report_only: bool = False
    slurm: str | None = None

    @property
    def asked(self) -> str:
        """The experiment, its size and the changes, as after `sweep`."""
        sweep = f"{self.experiment.path}:{self.size}"
        return shlex.join([sweep, *self.changes.words])

    @property
    def recorded(self) -> str:
        """The command that a report states."""
        return f"python launch.py sweep {self.asked} --workdir=DIR"


def add_arguments(parser: Parser):
    """Adds what `read_request` reads."""
    add = parser.add_argument
    add(
        "experiment",
        metavar="EXPERIMENT[:SIZE]",
        help="name of an experiment below, or path of a file; SIZE is small, which "
        "takes minutes and claims nothing, or full",
    )
    add(
        "--workdir",
        metavar="DIR",
        help="folder of the sweep; runs/NAME-SIZE by default",
    )
    add(
        "--config",
        metavar="TASK",
        help="task of all trials that train, in place of the experiment's; each keeps "
        "its method",
    )
    add("--config.KEY", metavar="VALUE", help="another value for all trials")
    add(
        "--jobs",
        type=number(int, 1),
        metavar="N",
        help="trials at the same time: on the CPU they share the cores, and with GPUs "
        "each sees one; as many as there are GPUs by default, or 1",
    )
    add(
        "--together",
        type=number(int, 1),
        default=1,
        metavar="N",
        help="trials that one process may train as one program, where their configs "
        "differ in seed and weights of penalties alone: pays on a GPU that one of them "
        "leaves idle",
    )
    add(
        "--limit",
        type=number(float, 1),
        metavar="SECONDS",
        help="after which a trial counts as hung and is killed; a trial that dies is "
        "tried once more",
    )
    add("--dry_run", action="store_true", help="print the trials")
    add(
        "--slurm",
        metavar="PARTITION",
        help="run the trials as an array of jobs there; --jobs bounds how many run at "
        "once, and sbatch's own variables, such as SBATCH_GRES=gpu:1, say what else a "
        "job gets",
    )


def read_request(values: argparse.Namespace) -> SweepRequest:
    """Reads what a command asks to sweep.

    Args:
        values: Of the flags above; the `changes` of the config, and the whole `argv`.

    Raises:
        UserError: If a file or a value is not accepted.
    """
    path, _, size = values.experiment.partition(":")
    size = size or "small"
    if size not in SIZES:
        raise UserError(f"unknown size {size!r}; accepted: {', '.join(SIZES)}")
    experiment = ExperimentFile.load(path)
    changes = _read_changes(values)
    most = _ARRAY if values.slurm else max(1, len(devices()))
    jobs = values.jobs or (1 if experiment.has("ALONE") else most)
    _check(experiment, changes, jobs=jobs, together=values.together)
    if values.slurm and not values.limit:
        raise UserError("--slurm needs --limit, the seconds that a trial may take")
    default = pathlib.Path("runs", f"{experiment.name}-{size}")
    workdir = pathlib.Path(values.workdir or default)
    return SweepRequest(
        experiment,
        size,
        workdir,
        go_on(values.argv, workdir, named=bool(values.workdir)),
        changes,
        jobs,
        values.together,
        values.limit,
        values.dry_run,
        slurm=values.slurm,
    )


def requested(words: Sequence[str]) -> SweepRequest:
    """The request of the words that follow `sweep`.

    Raises:
        UserError: If a word is not accepted.
    """
    changes, others = split_changes(words)
    parser = Parser()
    add_arguments(parser)
    values = parser.parse_args(others)
    values.argv, values.changes = ["sweep", *words], changes
    return read_request(values)


def _read_changes(values: argparse.Namespace) -> Changes:
    for word in values.changes:
        key, _, value = word.partition("=")
        if not value:
            raise UserError(f"{key} needs a value: {key}=VALUE")
        if key == "--config.seed":
            raise UserError(f"{word}: each trial of a sweep has a seed of its own")
    words = sorted(values.changes, key=lambda word: word.partition("=")[0])
    return Changes(values.config or "", tuple(words))


def _check(experiment: ExperimentFile, changes: Changes, *, jobs: int, together: int):
    """Refuses what the trials of an experiment cannot do."""
    path = experiment.path
    if experiment.has("ALONE") and jobs > 1:
        raise UserError(
            f"--jobs={jobs}: {path} measures times, so its trials run alone "
            "(ALONE = True there); accepted: 1"
        )
    if experiment.measured and together > 1:
        raise UserError(
            f"--together={together}: trials of {path} are measured, not trained; "
            "accepted: 1"
        )
    if experiment.measured and changes.words:
        raise UserError(
            f"{changes.words[0]}: trials of {path} are measured, not trained, and "
            "have no config"
        )
    if changes.method and not experiment.has("METHOD"):
        raise UserError(
            f"--config={changes.task}:{changes.method}: each trial of {path} names its "
            f"own method; accepted: --config={changes.task}"
        )
    takes = ("--config=", "--config.data=", "--config.data.name=")
    other = next((word for word in changes.words if word.startswith(takes)), None)
    if experiment.has("OWN_TASK") and other:
        raise UserError(
            f"{other}: {path} examines what only its own images "
            "have recorded (OWN_TASK = True there)"
        )
