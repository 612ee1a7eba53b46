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

import dynsparse
from dynsparse.launching import naming
from dynsparse.launching.command_line import Parser, asks, go_on
from dynsparse.launching.errors import UserError
from dynsparse.launching.load_config import load_config
from dynsparse.launching.meant import keys_of
from dynsparse.launching.more import more_points
from dynsparse.launching.overrides import check_key, override
from dynsparse.launching.usage import usage


@dataclasses.dataclass(frozen=True)
class Request:
    """One run, as asked for.

    Attributes:
        config: Complete and locked.
        workdir: Folder of the run; it may not exist yet.
        command: Resumes the run.
        patience: Seconds to wait for another process that holds the folder.
        dry_run: Whether to say what would be run, and no more.
        words: What was asked: the script, what followed --config, and other flags.
    """

    config: ConfigDict
    workdir: pathlib.Path
    command: str
    patience: float = 0.0
    dry_run: bool = False
    words: Sequence[str] = ()

    @property
    def more(self) -> str | None:
        """The command that draws a curve, where the run is one point.

        For a config whose values have been checked.
        """
        if not self.words:  # a trial of a sweep, which draws the curve
            return None
        script, asked, *given = self.words
        return more_points(script, asked, self.config, given)

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
        The request, or None after printing the usage or the version.

    Raises:
        UserError: If a flag, a file, a key or a value is not accepted.
    """
    if {"--help", "-h", "-help"} & set(argv[1:]):
        sys.stdout.write(usage())
        return None
    if asks(argv, "version"):
        sys.stdout.write(f"dynsparse {dynsparse.__version__}\n")
        return None
    parser = Parser(known=_MODES)
    parser.add_argument("--config")
    parser.add_argument("--workdir")
    parser.add_argument("--dry_run", action="store_true")
    own, others = parser.read(argv, "config.", keys=lambda own: keys_of(own.config))
    if own.config is None:
        raise UserError("--config is missing, such as configs/cluttered_digits.py")
    config = load_config(own.config)
    workdir = own.workdir
    if workdir == "":
        raise UserError("--workdir needs a value: --workdir=DIR")
    said: list[str] = []
    config = override(config, ["", *others], said)
    for section in _NAMED:
        check_key(config, f"{section}.name", f"{section}.name")
    naming.check_names(config)
    folder = pathlib.Path(workdir or _fresh_workdir(config))
    command = go_on(argv, folder, named=bool(workdir), without={"dry_run"})
    words = argv[0], own.config, *said
    return Request(config, folder, command, dry_run=own.dry_run, words=words)


_MODES = ("serve", "compare", "sweep", "help", "version")  # flags of other commands
_NAMED = ("data", "model", "gate")  # sections that have names of their own


def _fresh_workdir(config: ConfigDict) -> str:
    stem = f"{naming.stem(config.to_dict())}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = os.path.join("runs", stem), 1
    while os.path.exists(path):
        number += 1
        path = os.path.join("runs", f"{stem}-{number}")
    return path
