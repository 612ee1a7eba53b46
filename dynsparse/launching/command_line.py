"""What all command lines have in common."""

from collections.abc import Sequence

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
    except flags.Error as error:
        raise UserError(error) from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}; see --help.")
