"""From the command line to a checked request for one run."""

import dataclasses
import json
import os
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse.launching import naming
from dynsparse.launching.command_line import Parser, go_on
from dynsparse.launching.errors import UserError
from dynsparse.launching.load_config import load_config
from dynsparse.launching.overrides import check_key, override

_USAGE = """Runs one experiment, or resumes it in the folder where it was left.

  python launch.py --config=configs/TASK.py[:METHOD[,MODEL[,BUDGET]]]
                   [--config.KEY=VALUE ...] [--workdir=DIR]

  --config        what to run; METHOD, MODEL and BUDGET are files of
                  configs/methods, configs/models and configs/budgets
  --config.KEY    overrides one value, such as --config.train.num_steps=100
  --workdir       folder of the run; a fresh one under runs/ by default. The same
                  command with the same folder goes on from the last checkpoint.

  python launch.py --serve=RUN_DIR [--load=spike] [--seconds=30] [--request_size=64]
                   [--rungs=6] [--lowest=0.15] [--least_accuracy=0] [--seed=0]
                   [--trust]

  --serve         folder of a run: replays a load against its ladder of budgets, with
                  the controller and on each rung alone, and writes ladder.json,
                  serving.csv and serving.png into a new folder of its own,
                  RUN_DIR/serve/LOAD-NUMBER
  --load          constant, ramp, sine or spike; 1 is what the full model can serve
  --rungs         budgets, from --lowest to all of the dense MACs; none below the
                  densities that the run was trained at
  --least_accuracy
                  on the validation split, of the rungs that the controller may choose
  --trust         imports the classes outside this library that its config.json names,
                  and so runs their code: for folders whose maker you trust

  python launch.py --compare RUN_DIR RUN_DIR ...

  --compare       folders of finished runs: prints what their configs differ in, then
                  their numbers

  python launch.py --sweep=experiments/NAME.py[:SIZE] [--workdir=DIR] [--jobs=N]
                   [--config=configs/TASK.py] [--config.KEY=VALUE ...]
                   [--together=N] [--limit=SECONDS] [--dry_run]
                   [--report_only] [--slurm=PARTITION]

  --sweep         an experiment: runs its trials, each in a process of its own, and
                  writes report.md, report.csv and figures. SIZE is small, which takes
                  minutes and claims nothing, or full. The same command goes on where it
                  stopped: finished trials are skipped, others resumed
  --workdir       folder of the sweep; runs/NAME-SIZE by default
  --config        the task of all trials that train, in place of the experiment's; each
                  keeps its method, and --config.KEY overrides one value of all
  --jobs          trials at the same time: on the CPU they share the cores, and with
                  GPUs each sees one; as many as there are GPUs by default, or 1
  --together      trials that one process may train as one program, where their configs
                  differ in seed and weights of penalties alone: pays on a GPU that one
                  of them leaves idle
  --limit         seconds after which a trial counts as hung and is killed; a trial that
                  dies is tried once more
  --dry_run       prints the trials
  --report_only   writes the report of the trials that are finished
  --slurm         runs the trials as an array of jobs there (pip install submitit);
                  --jobs bounds how many run at once, and sbatch's own variables, such
                  as SBATCH_GRES=gpu:1, say what else a job gets
"""


@dataclasses.dataclass(frozen=True)
class Request:
    """One run, as asked for.

    Attributes:
        config: Complete and locked.
        workdir: Folder of the run; it may not exist yet.
        command: Resumes the run.
        patience: Seconds to wait for another process that holds the folder.
    """

    config: ConfigDict
    workdir: pathlib.Path
    command: str
    patience: float = 0.0

    @property
    def title(self) -> str:
        """Names the run in figures and tables."""
        return naming.title(self.plain_config)

    @property
    def plain_config(self) -> dict[str, Any]:
        """The config as JSON would give it back."""
        return json.loads(self.config.to_json_best_effort())


def parse(argv: Sequence[str]) -> Request | None:
    """Reads the command line.

    Args:
        argv: As in `sys.argv`.

    Returns:
        The request, or None after printing the usage.

    Raises:
        UserError: If a flag, a file, a key or a value is not accepted.
    """
    if {"--help", "-h", "-help"} & set(argv[1:]):
        sys.stdout.write(_USAGE)
        return None
    parser = Parser(known=_MODES)
    parser.add_argument("--config")
    parser.add_argument("--workdir")
    own, others = parser.read(argv, "config.")
    if own.config is None:
        raise UserError("--config is missing, such as configs/cluttered_digits.py")
    config = load_config(own.config)
    workdir = own.workdir
    if workdir == "":
        raise UserError("--workdir needs a value: --workdir=DIR")
    config = override(config, ["", *others])
    for section in _NAMED:
        check_key(config, f"{section}.name", f"{section}.name")
    naming.check_names(config)
    folder = pathlib.Path(workdir or _fresh_workdir(config))
    command = go_on(argv, folder, named=bool(workdir))
    return Request(config, folder, command)


_MODES = ("serve", "compare", "sweep", "help", "version")  # flags of other commands
_NAMED = ("data", "model", "gate")  # sections that have names of their own


def _fresh_workdir(config: ConfigDict) -> str:
    stem = f"{naming.stem(config.to_dict())}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = os.path.join("runs", stem), 1
    while os.path.exists(path):
        number += 1
        path = os.path.join("runs", f"{stem}-{number}")
    return path
