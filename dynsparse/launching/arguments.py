"""What the command lines of all verbs have in common."""

import argparse
import math
import os
import pathlib
import re
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import NoReturn

from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching.errors import UserError

_LONGEST = 60  # characters of a value in an error


class Parser(argparse.ArgumentParser):
    """Parser that takes flags by their whole names and raises what it refuses."""

    def __init__(self, description: str | None = None, **options):
        kind = argparse.RawDescriptionHelpFormatter
        text = textwrap.fill(description or "", 80)
        super().__init__(
            description=text, **options, allow_abbrev=False, formatter_class=kind
        )

    def error(self, message: str) -> NoReturn:
        """Refuses a value, in place of the usage and the exit of argparse."""
        found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        meant = did_you_mean(found[1], re.findall(r"\w+", found[2])) if found else ""
        raise UserError(message.removeprefix("argument ") + meant)


def number(kind: type, least: int | float, most: int | float = math.inf):
    """`type` of a flag that takes a finite int or float within bounds."""
    words = "an integer" if kind is int else "a number"
    bounds = f">= {least:g}" if most == math.inf else f"in [{least:g}, {most:g}]"

    def read(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and value < math.inf):
            raise argparse.ArgumentTypeError(
                f"must be {words} {bounds}, got {text[:_LONGEST]!r}"
            )
        return value

    return read


def split_changes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separates `--config.KEY=VALUE` from the other words of a command.

    The value may also be the next word, where that is no flag.
    """
    changes, others, words = [], [], list(argv)
    while words:
        word = words.pop(0)
        if not re.match(r"--(no)?config\.", word):
            others.append(word)
            continue
        apart = "=" not in word and words and not words[0].startswith("--")
        changes.append(f"{word}={words.pop(0)}" if apart else word)
    return changes, others


def listed(advice: Mapping[str, str]) -> str:
    """Names with a line on each, for the end of a help text."""
    return "\n".join(
        textwrap.fill(
            f"{name:<28}{line}",
            width=88,
            initial_indent="  ",
            subsequent_indent=" " * 30,
        )
        for name, line in advice.items()
    )


def spoken(words: Sequence[str]) -> str:
    """The command of this program as one types it, in the Python that runs.

    Args:
        words: As in `sys.argv`, without the program.
    """
    python = os.path.relpath(sys.executable)
    python = sys.executable if python.startswith("..") else python
    name = pathlib.Path(sys.argv[0]).name
    program = [python, "-m", "dynsparse"]
    if name == "launch.py":
        program = [python, sys.argv[0]]
    elif name == "dynsparse":
        program = [name]
    return shlex.join([*program, *words])


def go_on(argv: Sequence[str], workdir: pathlib.Path, named: bool) -> str:
    """The command that goes on with what another began in `workdir`.

    Args:
        argv: As in `sys.argv`, without the program.
        workdir: The folder.
        named: Whether `argv` names it.
    """
    words = [word for word in argv if word != "--dry_run"]
    return spoken([*words, *([] if named else [f"--workdir={workdir}"])])
