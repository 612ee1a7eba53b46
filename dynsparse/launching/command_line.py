"""What all command lines have in common."""

import os
import pathlib
import shlex
import sys
from collections.abc import Collection, Sequence

from absl import flags

from dynsparse.launching.errors import UserError


def asks(argv: Sequence[str], name: str) -> bool:
    """Whether a command line has the flag `name`, with a value or without.

    Args:
        argv: As in `sys.argv`.
        name: Without dashes.
    """
    return any(flag_of(word) == name for word in argv[1:])


def flag_of(word: str) -> str | None:
    """The name of a flag, or None for what is no flag."""
    return word.lstrip("-").partition("=")[0] if word.startswith("-") else None


def read(values: flags.FlagValues, argv: Sequence[str]):
    """Reads the flags that `values` defines, which are all that there may be.

    Raises:
        UserError: If a flag or a value is not accepted, or an argument is no flag.
    """
    try:
        rest = values(list(argv))[1:]
    except (flags.Error, LookupError, TypeError, ValueError) as error:
        raise UserError(error) from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}; see --help.")


def go_on(
    argv: Sequence[str],
    workdir: pathlib.Path,
    *,
    named: bool,
    without: Collection[str] = (),
) -> str:
    """Returns the command that goes on with what another began.

    Args:
        argv: As in `sys.argv`.
        workdir: The folder.
        named: Whether `argv` says so.
        without: Flags to leave out.
    """
    python = os.path.relpath(sys.executable)
    python = sys.executable if python.startswith("..") else python
    words = [word for word in argv if flag_of(word) not in without]
    return shlex.join([python, *words, *([] if named else [f"--workdir={workdir}"])])
