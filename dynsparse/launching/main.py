"""One entry: the verbs of `launch.py`, `python -m dynsparse` and `dynsparse`."""

import argparse
import sys
from collections.abc import Sequence

import dynsparse
from dynsparse._internal.atomic_write import DamagedFileError, is_full
from dynsparse._internal.extras import not_installed
from dynsparse.launching import report, run, serve, sweeps
from dynsparse.launching.arguments import Parser, split_changes
from dynsparse.launching.config import meant
from dynsparse.launching.errors import MISTAKE, UserError
from dynsparse.launching.process import keep_freed_memory, make_console
from dynsparse.launching.sweep import FULL_DISK


def main(argv: Sequence[str] | None = None) -> int:
    """Does what a command asks.

    Args:
        argv: Without the program; those of the process where None.

    Returns:
        The exit status: 0 done, 1 failed, 2 a mistake in the command, 130 interrupted.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    keep_freed_memory()
    try:
        return _do(argv)
    except (UserError, DamagedFileError) as error:
        told, status = f"error: {error}", MISTAKE
    except FloatingPointError as error:
        told, status = f"failed: {error}; the last checkpoint stands", 1
    except ModuleNotFoundError as error:
        told, status = f"error: {not_installed(error)}", MISTAKE
    except (MemoryError, RuntimeError) as error:
        words = " ".join(str(error).split())
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in words:
            raise
        told = "error: out of memory: lower model, train or evaluation sizes "
        told, status = f"{told}({words[:200]})", MISTAKE
    except OSError as error:
        if error.errno is None:
            raise
        told = f"failed: {' '.join(str(error).split())}; what was saved before stands"
        status = FULL_DISK if is_full(error) else 1
    sys.stderr.write(f"{told}\n")
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
    for verb in (run, sweeps, serve, report):
        verb.add_verbs(verbs)
    return parser


def _do(argv: list[str]) -> int:
    if argv[:1] == ["trial"]:  # no verb for a person: a sweep starts its trials by it
        return sweeps.run_trials(argv[1:], make_console())
    if not argv:
        make_parser().print_help()
        return 0
    try:
        values = parse(argv)
    except SystemExit:  # after --help or --version
        return 0
    return values.do(values, make_console())


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
    left += [] if "config" in known else changes
    for word in left:
        if not word.startswith("-"):
            raise UserError(f"unexpected argument {word!r}; see {values.verb} --help.")
        config = (values.config or "cluttered_digits") if "config" in known else None
        question = meant(word.lstrip("-").partition("=")[0], known, config)
        raise UserError(f"unknown flag {word!r}; see {values.verb} --help{question}")
    values.argv, values.changes = argv, changes
    return values
