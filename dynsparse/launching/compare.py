"""From the command line to the finished runs that are to be compared."""

import pathlib
from collections.abc import Sequence

from dynsparse.launching.command_line import Parser, asks
from dynsparse.launching.errors import UserError
from dynsparse.reports.records import read_run

_FLAG = "compare"


def asks_to_compare(argv: Sequence[str]) -> bool:
    """Whether a command line is one to compare with."""
    return asks(argv, _FLAG)


def parse_compare(argv: Sequence[str]) -> list[pathlib.Path]:
    """Returns the folders of `--compare RUN RUN ...`.

    Args:
        argv: As in `sys.argv`.

    Raises:
        DamagedFileError: If one is not the folder of a finished run.
        UserError: If there are fewer than two, or there is another flag.
    """
    parser = Parser()
    parser.add_argument("--compare", nargs="?", action="append")
    values, others = parser.read(argv, words=True)
    runs = [pathlib.Path(name) for name in (*values.compare, *others) if name]
    if len(runs) < 2:
        raise UserError(
            f"--compare needs two folders of runs or more, got {len(runs)}; a run "
            "alone prints its table when its own command is given again."
        )
    for run in runs:
        read_run(run)
    return runs
