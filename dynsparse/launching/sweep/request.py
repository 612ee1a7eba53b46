"""From the command line to a checked request for a sweep."""

import dataclasses
import pathlib
import shlex
from collections.abc import Sequence

from dynsparse.launching.command_line import Parser, asks, flag_of, go_on, in_range
from dynsparse.launching.errors import UserError
from dynsparse.launching.meant import keys_of
from dynsparse.launching.sweep.experiment_file import SIZES, ExperimentFile
from dynsparse.launching.sweep.slots import devices
from dynsparse.launching.sweep.trial import Changes


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
        """The experiment, its size and the changes, as after --sweep=."""
        sweep = f"{self.experiment.path}:{self.size}"
        return shlex.join([sweep, *self.changes.words])

    @property
    def recorded(self) -> str:
        """The command that a report states."""
        return f"python launch.py --sweep={self.asked} --workdir=DIR"


def asks_to_sweep(argv: Sequence[str]) -> bool:
    """Whether a command line is one to sweep with."""
    return asks(argv, "sweep")


def parse_sweep(argv: Sequence[str]) -> SweepRequest:
    """Reads the command line.

    Args:
        argv: As in `sys.argv`.

    Raises:
        UserError: If a flag, a file or a value is not accepted.
    """
    parser = Parser(known=["config"])
    for name in ("sweep", "workdir", "slurm"):
        parser.add_argument(f"--{name}")
    for name in ("dry_run", "report_only"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--jobs", type=in_range(int, 1))
    parser.add_argument("--together", type=in_range(int, 1), default=1)
    parser.add_argument("--limit", type=in_range(float, 1))
    changes, others = split_changes(argv)
    values, _ = parser.read(others, keys=lambda values: _keys(values.sweep, changes))
    path, _, size = (values.sweep or "").partition(":")
    size = size or "small"
    if size not in SIZES:
        raise UserError(f"--sweep: unknown size {size!r}; accepted: {', '.join(SIZES)}")
    experiment = ExperimentFile.load(path)
    most = _ARRAY if values.slurm else max(1, len(devices()))
    jobs = values.jobs or (1 if experiment.has("ALONE") else most)
    _check(experiment, changes, jobs=jobs, together=values.together)
    if values.slurm and not values.limit:
        raise UserError("--slurm needs --limit, the seconds that a trial may take")
    default = pathlib.Path("runs", f"{experiment.name}-{size}")
    workdir = pathlib.Path(values.workdir or default)
    command = go_on(argv, workdir, named=bool(values.workdir), without=_ONCE)
    return SweepRequest(
        experiment,
        size,
        workdir,
        command,
        changes,
        jobs,
        values.together,
        values.limit,
        values.dry_run,
        values.report_only,
        values.slurm,
    )


def split_changes(argv: Sequence[str]) -> tuple[Changes, list[str]]:
    """Separate what a command line changes in every trial from its other words.

    Raises:
        UserError: If a change has no value, or is that of the seed.
    """
    config, values, others = "", [], []
    for word in argv:
        name = flag_of(word) or ""
        key, _, value = f"--{word.lstrip('-')}".partition("=")
        if name != "config" and not name.startswith("config."):
            others.append(word)
            continue
        if not value:
            raise UserError(f"{key} needs a value: {key}=VALUE")
        if name == "config.seed":
            raise UserError(f"{word}: each trial of a sweep has a seed of its own")
        if name == "config":
            config = value
        else:
            values.append(f"{key}={value}")
    values.sort(key=lambda word: word.partition("=")[0])
    return Changes(config, tuple(values)), others


def _keys(asked: str | None, changes: Changes) -> list[str]:
    """The keys of the config of the first trial, but for its seed."""
    path, _, size = (asked or "").partition(":")
    try:
        trials = ExperimentFile.load(path).asked(size or SIZES[0], changes.method)
    except UserError:
        return []
    config = changes.task or trials[0].get("config")
    return [key for key in keys_of(config) if key != "seed"]


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


_ONCE = {"dry_run", "report_only"}  # flags that a command to go on does not have
_ARRAY = 256  # jobs that run at once on a cluster, where none are asked for
