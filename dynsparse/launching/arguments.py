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

MISTAKE = 2  # exit status of a command that its caller can mend


class UserError(Exception):
    """A mistake that the caller of the command line can mend; its text is one line."""

    def __init__(self, text: object):
        super().__init__(" ".join(str(text).split()))


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
            raise argparse.ArgumentTypeError(f"must be {words} {bounds}, got {text!r}")
        return value

    return read


Changes = Sequence[tuple[str, str]]  # keys and values of a config


def split_changes(argv: Sequence[str]) -> tuple[Changes, list[str]]:
    """Separates keys and values of `--config.KEY=VALUE` from the rest of a command.

    The value may also be the next word, where that is no flag.
    """
    changes, others, words = [], [], list(argv)
    while words:
        word = words.pop(0)
        if not word.startswith("--config."):
            others.append(word)
            continue
        flag, equals, value = word.partition("=")
        if not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"{flag} needs a value: {flag}=VALUE")
            value = words.pop(0)
        changes.append((flag.removeprefix("--config."), value))
    return changes, others


def as_words(changes: Changes) -> list[str]:
    """Keys and values of a config as they stand in a command."""
    return [f"--config.{key}={value}" for key, value in changes]


def listed(advice: Mapping[str, str]) -> str:
    """Names with a line on each, for the end of a help text."""
    fill = textwrap.TextWrapper(88, "  ", " " * 30).fill
    return "\n".join(fill(f"{name:<28}{line}") for name, line in advice.items())


def spoken(words: Sequence[str]) -> str:
    """A command of this program as one types it, in the Python that runs."""
    python = os.path.relpath(sys.executable)
    python = sys.executable if python.startswith("..") else python
    name = pathlib.Path(sys.argv[0]).name
    if name == "dynsparse":
        return shlex.join([name, *words])
    program = [sys.argv[0]] if name == "launch.py" else ["-m", "dynsparse"]
    return shlex.join([python, *program, *words])


def go_on(values: argparse.Namespace, workdir: pathlib.Path) -> str:
    """The command that goes on in a folder with what a command has begun there."""
    words = [word for word in values.argv if word != "--dry_run"]
    return spoken([*words, *([] if values.workdir else [f"--workdir={workdir}"])])
