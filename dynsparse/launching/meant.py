"""What a flag that nobody reads was meant to be: another flag, or a key of a config."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dynsparse._internal.sections import SECTIONS
from dynsparse.launching.errors import UserError
from dynsparse.launching.load_config import load_config

_MOST = 3  # keys of one name that are told


def meant(name: str, flags: Collection[str], keys: Collection[str]) -> str:
    """The end of an error: "; did you mean --config.seed?", or nothing.

    A key that ends with the name comes before a flag that is like it.

    Args:
        name: Of the flag, without dashes and value.
        flags: Names of those that are read.
        keys: Dotted, of the values of the config.
    """
    exact = [key for key in keys if f".{key}".endswith((f".{name}", f".{name}.name"))]
    if exact:
        return _question(exact)
    last = {key: key.rpartition(".")[2] for key in keys}
    front = name.partition(".")[0]
    known = [*flags, *last.values()]
    (close,) = difflib.get_close_matches(front, known, n=1) or [""]
    if close in flags:
        return f"; did you mean {close}?"
    return _question([key for key in keys if last[key] == close])


def keys_of(config: str | None) -> list[str]:
    """Returns the dotted keys that a run of "FILE.py:ARGUMENT" reads, if it is one.

    Args:
        config: As after --config.
    """
    try:
        found = load_config(config or "").to_dict()
        return list(_dotted({key: found[key] for key in SECTIONS if key != "names"}))
    except UserError:
        return []


def _dotted(section: Mapping[str, Any], front: str = "") -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{front}{key}.")
        else:
            yield front + key


def _question(found: Collection[str]) -> str:
    """Of those that are least deep, the first few."""
    least = min((key.count(".") for key in found), default=0)
    told = [f"--config.{key}" for key in found if key.count(".") == least]
    return f"; did you mean {' or '.join(told[:_MOST])}?" if told else ""
