"""What all command lines have in common."""

import os
import pathlib
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence

from absl import flags

from dynsparse.launching.errors import UserError
from dynsparse.suggest import did_you_mean


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


def split_flags(
    argv: Sequence[str], own: Mapping[str, bool], prefix: str
) -> tuple[dict[str, str], list[str]]:
    """Reads the flags of one's own, and returns the words of the others.

    Args:
        argv: As in `sys.argv`.
        own: Names of flags, and whether they take a value.
        prefix: Of the names of the others, whose words are kept as they are.

    Raises:
        UserError: If a word is none of either, or a value is missing.
    """
    found: dict[str, str] = {}
    others: list[str] = []
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        name = flag_of(word)
        if name is not None and name.removeprefix("no").startswith(prefix):
            others.append(word)
            if "=" not in word and words and not words[0].startswith("--"):
                others.append(words.pop(0))
        elif name is not None and name in own:
            _, equals, value = word.partition("=")
            if own[name] and not equals:
                if not words or words[0].startswith("--"):
                    raise UserError(f"--{name} needs a value: --{name}=VALUE")
                value = words.pop(0)
            found[name] = value
        elif name is None:
            raise UserError(f"unexpected argument {word!r}; see --help.")
        else:
            raise UserError(
                f"unknown flag {word!r}; see --help{did_you_mean(name, own)}"
            )
    return found, others


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
