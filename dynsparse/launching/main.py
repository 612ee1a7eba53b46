"""One entry: the verbs of `launch.py`, `python -m dynsparse` and `dynsparse`."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

import dynsparse
from dynsparse._internal.atomic_write import DamagedFileError, is_full
from dynsparse._internal.extras import not_installed
from dynsparse.launching import prepare, report, run, serve, sweep
from dynsparse.launching.arguments import (
    MISTAKE,
    Parser,
    UserError,
    as_words,
    split_changes,
)
from dynsparse.launching.config import meant
from dynsparse.launching.pool import FULL_DISK
from dynsparse.launching.process import keep_freed_memory
from dynsparse.launching.trial import run_trials


def main(argv: Sequence[str] | None = None) -> int:
    """Does what a command asks.

    Args:
        argv: Without the program; those of the process where None.

    Returns:
        The exit status: 0 done, 1 failed, 2 a mistake in the command, 74 no space left
        on the disk, 130 interrupted.
    """
    keep_freed_memory()
    try:
        return _do(sys.argv[1:] if argv is None else list(argv))
    except (UserError, DamagedFileError) as error:
        status, told = MISTAKE, f"error: {error}"
    except FloatingPointError as error:
        status, told = 1, f"failed: {error}; the last checkpoint stands"
    except ModuleNotFoundError as error:
        status, told = MISTAKE, f"error: {not_installed(error)}"
    except (MemoryError, RuntimeError) as error:
        words = " ".join(str(error).split())
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in words:
            raise
        advice = "lower model, train or evaluation sizes"
        status, told = MISTAKE, f"error: out of memory: {advice} ({words[:200]})"
    except OSError as error:
        if error.errno is None:
            raise
        status = FULL_DISK if is_full(error) else 1
        told = f"failed: {error}; what was saved before stands"
    sys.stderr.write(f"{' '.join(told.split())}\n")
    return status


def make_parser() -> Parser:
    """Parser of all verbs, from which their help is generated."""
    parser = Parser(
        prog="dynsparse",
        usage="%(prog)s VERB ...",
        description=dynsparse.__doc__,
        epilog="VERB --help says what a verb takes.",
    )
    version = f"%(prog)s {dynsparse.__version__}"
    parser.add_argument("--version", action="version", version=version)
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", title="verbs", prog="dynsparse"
    )
    for verb in (run, sweep, serve, report, prepare):
        verb.add_verbs(verbs)
    return parser


def _do(argv: list[str]) -> int:
    # Prints text as it is, also what rich would read as markup.
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    if argv[:1] == ["trial"]:  # no verb for a person: a sweep starts its trials by it
        return run_trials(argv[1:], console)
    try:
        values = parse(argv or ["--help"])
    except SystemExit:  # after --help or --version
        return 0
    return values.do(values, console)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads a command: the values of its flags, its verb, and what `do`es it.

    Args:
        argv: Without the program; kept as `argv`.

    Raises:
        SystemExit: After --help or --version.
        UserError: If a word or a value is not accepted.
    """
    changes, others = split_changes(argv)
    values, left = make_parser().parse_known_args(others)
    if values.verb is None:
        raise UserError(f"unknown flag {argv[0]!r}: a verb comes first; see --help")
    known = vars(values).keys() - {"verb", "do"}
    left += [] if "config" in known else as_words(changes)
    for word in left:
        if not word.startswith("-"):
            raise UserError(f"unexpected argument {word!r}; see {values.verb} --help.")
        config = (values.config or "cluttered_digits") if "config" in known else None
        question = meant(word.lstrip("-").partition("=")[0], known, config)
        raise UserError(f"unknown flag {word!r}; see {values.verb} --help{question}")
    values.argv, values.changes = argv, changes
    return values
