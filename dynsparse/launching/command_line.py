"""What all command lines have in common."""

import argparse
import math
import os
import pathlib
import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching.errors import UserError
from dynsparse.launching.meant import meant


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


class Parser(argparse.ArgumentParser):
    """Reads the flags that `add_argument` names, in any order.

    Args:
        known: Flags of other commands, for what a mistyped one was meant to be.
    """

    def __init__(self, known: Collection[str] = ()):
        super().__init__(add_help=False, allow_abbrev=False)
        self._known = known

    def read(
        self,
        argv: Sequence[str],
        prefix: str | None = None,
        *,
        words: bool = False,
        keys: Callable[[argparse.Namespace], Collection[str]] = lambda values: (),
    ) -> tuple[argparse.Namespace, list[str]]:
        """Returns the values of the flags, and the other words.

        Args:
            argv: As in `sys.argv`.
            prefix: Of the names of flags that another reads; None for no others.
            words: Whether there may be words that belong to no flag.
            keys: Returns the dotted keys of a config, of which an unknown flag may be
                one, from the values of the flags that are known.

        Raises:
            UserError: If a flag or a value is not accepted, or an argument is no flag.
        """
        values, rest = self.parse_known_args(list(argv[1:]))
        left = list(rest)
        while left:
            word = left.pop(0)
            name = flag_of(word)
            if name is None:
                if words:
                    continue
                raise UserError(f"unexpected argument {word!r}; see --help.")
            if prefix is None or not name.removeprefix("no").startswith(prefix):
                question = meant(name, [*vars(values), *self._known], keys(values))
                raise UserError(f"unknown flag {word!r}; see --help{question}")
            if "=" not in word and left and flag_of(left[0]) is None:
                left.pop(0)
        return values, rest

    def error(self, message: str) -> NoReturn:
        """Refuses a value, in place of the usage and the exit of argparse."""
        raise UserError(message.removeprefix("argument "))


def in_range(kind: type, least: int | float, most: int | float | None = None):
    """The `type` of a flag that takes a number.

    Args:
        kind: int or float.
        least: Smallest that is accepted.
        most: Largest; None for as large as one likes, but for infinity.
    """
    words = "an integer" if kind is int else "a number"
    bounds = f">= {least:g}" if most is None else f"in [{least:g}, {most:g}]"

    def read(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        within = least <= value < math.inf and (most is None or value <= most)
        if not within:
            raise argparse.ArgumentTypeError(
                f"must be {words} {bounds}, got {text[:_LONGEST]!r}"
            )
        return value

    return read


def one_of(accepted: Collection[str]):
    """The `type` of a flag that takes a word.

    Args:
        accepted: The words.
    """

    def read(text: str) -> str:
        if text not in accepted:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(accepted)}, got {text[:_LONGEST]!r}"
                f"{did_you_mean(text, accepted)}"
            )
        return text

    return read


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
    words = [word for word in argv if flag_of(word) not in without]
    return spoken([*words, *([] if named else [f"--workdir={workdir}"])])


def spoken(words: Sequence[str]) -> str:
    """Returns a command as one types it, in the Python that runs.

    Args:
        words: As in `sys.argv`.
    """
    python = os.path.relpath(sys.executable)
    python = sys.executable if python.startswith("..") else python
    return shlex.join([python, *words])


_LONGEST = 60  # characters of a value in an error
