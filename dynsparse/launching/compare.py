"""From the command line to the finished runs that are to be compared."""

import json
import pathlib
from collections.abc import Sequence

from dynsparse.launching.command_line import Parser, asks
from dynsparse.launching.errors import UserError

_FLAG = "compare"


def asks_to_compare(argv: Sequence[str]) -> bool:
    """Whether a command line is one to compare with."""
    return asks(argv, _FLAG)


def parse_compare(argv: Sequence[str]) -> list[pathlib.Path]:
    """Returns the folders of `--compare RUN RUN ...`.

    Args:
        argv: As in `sys.argv`.

    Raises:
        UserError: If there are fewer than two, one is not the folder of a finished run,
            or there is another flag.
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
        _require_finished(run)
    return runs


def _require_finished(run: pathlib.Path):
    """Refuses a folder without the two files that a comparison reads."""
    for name in ("config.json", "result.json"):
        try:
            found = json.loads((run / name).read_text())
        except (OSError, ValueError) as error:
            raise UserError(
                f"--compare: {str(run)!r} is not the folder of a finished run: its "
                f"{name} cannot be read ({type(error).__name__})."
            ) from error
    if "curve" not in found:
        raise UserError(
            f"--compare: {str(run)!r} is the folder of a trial that was measured, not "
            "trained: its result.json has no curve."
        )
