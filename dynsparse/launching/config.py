"""Loads the config of a run and changes its values."""

import ast
import collections
import difflib
import json
from collections.abc import Collection, Iterable
from typing import Any, cast

from ml_collections import ConfigDict

from dynsparse._internal.ranges import accepts
from dynsparse._internal.sections import OPTIONAL, check_sections
from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching.arguments import UserError
from dynsparse.launching.shipped import load_module
from dynsparse.reports.telling import flattened

_LONGEST = 60  # characters of a value in an error
_MOST = 3  # keys of one name that are told
_SECTION = "{'KEY': VALUE, ...}"
# Parts whose name is told where it is not the one that `names` was made for.
_TOLD = {"gate": "method", "scorer": "method", "model": "model"}


def load_config(asked: str) -> ConfigDict:
    """Config of "FILE.py" or "FILE.py:ARGUMENT", complete and locked.

    Args:
        asked: FILE.py may also be the name of a file of configs/ without its ending.

    Raises:
        UserError: If there is no such file, or it does not give a config.
    """
    name, _, argument = asked.partition(":")
    module = load_module(name, "configs")
    try:
        config = module.get_config(*filter(None, [argument]))
        if not isinstance(config, ConfigDict):
            raise TypeError(f"get_config() gives a {type(config).__name__}")
        check_sections(config)
    except ValueError as error:
        raise UserError(error) from error
    except Exception as error:  # a config is code: anything may come out of it
        raise UserError(f"--config: {name}: {type(error).__name__}: {error}") from error
    return config.lock()


def override(
    config: ConfigDict, changes: Iterable[tuple[str, Any]], front: str = "--config."
):
    """Change values in place, one after the other, and the names of the run by them.

    Args:
        config: To change.
        changes: Dotted keys and values. A text is read as the kind of value that is
            there; a mapping takes the place of a whole section.
        front: What stands before a key in an error.

    Raises:
        UserError: If a key or a value is not accepted.
    """
    parts = cast(Any, config)
    names = lambda: {part: parts[part].get("name") for part in _TOLD}
    before = names()
    for key, value in changes:
        section, name = find_key(config, key, front)
        fitted = _fit(value, section[name], key, front + key)
        with config.unlocked(), section.ignore_type():
            section[name] = fitted
    for part, name in names().items():
        told = config.names.get(_TOLD[part])
        if name not in (None, before[part]) and isinstance(told, str):
            with config.names.unlocked():
                config.names[_TOLD[part]] = f"{told} with {name}"


def find_key(config: ConfigDict, key: str, front: str = "") -> tuple[ConfigDict, str]:
    """The section that holds a dotted key, and the name of the key there.

    Raises:
        UserError: If there is none, with the keys that the section has.
    """
    path, section, value = key.split("."), config, config
    for depth, name in enumerate(path):
        section = value
        if not isinstance(section, ConfigDict):
            whole = ".".join(path[:depth])
            raise UserError(f"{front}{key}: {whole} is {section!r} and has no keys")
        if name not in section:
            raise UserError(
                f"{front}{key}: no such key; accepted: {', '.join(section)}"
                f"{did_you_mean(name, section)}"
            )
        value = section[name]
    return section, path[-1]


def meant(name: str, flags: Collection[str], config: str | None) -> str:
    """The end of an error about a flag: "; did you mean --config.seed?", or nothing.

    Args:
        name: Of the flag that nobody reads, without dashes and value.
        flags: Names of those that are read.
        config: "FILE.py:ARGUMENT", as after --config.
    """
    shown = collections.defaultdict(list, {flag: [flag] for flag in flags})
    try:
        keys = [key for key, _ in flattened(load_config(config or "").to_dict())]
    except UserError:
        keys = []
    for key in sorted(keys, key=lambda key: key.count(".")):
        if not key.startswith("names."):
            for word in {key, key.rpartition(".")[2], key.removesuffix(".name")}:
                shown[word].append(f"--config.{key}")
    close = difflib.get_close_matches(name, shown, n=1)
    return f"; did you mean {' or '.join(shown[close[0]][:_MOST])}?" if close else ""


def _fit(value: Any, old: Any, key: str, called: str) -> Any:
    """A value of the kind that a config holds already, made of a text where it is.

    Raises:
        UserError: If it is none.
    """
    try:
        return _fitted(value, old, key)
    except ValueError as error:
        got = str(value)[:_LONGEST]
        raise UserError(f"{called}: must be {error}, got {got!r}") from None


def _fitted(value: Any, old: Any, key: str) -> Any:
    """As `_fit`; a ValueError says what is accepted."""
    read = value
    if isinstance(value, str) and not isinstance(old, str):
        read = _literal(value)
    if isinstance(old, tuple | list):
        if isinstance(read, int | float):
            read = (read,)
        if not isinstance(read, tuple | list):
            raise ValueError("a tuple, such as (0.5, 1.0)")
        kind = type(old[0]) if old else float
        return type(old)(_checked(each, kind, key) for each in read)
    if isinstance(old, bool | int | float | str):
        return _checked(read, type(old), key)
    if isinstance(read, dict) and all(isinstance(name, str) for name in read):
        return ConfigDict(read)
    optional = "." in key or key in OPTIONAL
    if optional and value in (None, "None", "null"):
        return None
    raise ValueError(f"None or {_SECTION}" if optional else _SECTION)


def _checked(found: Any, kind: type, key: str) -> Any:
    """A value as the kind that its key takes."""
    accepted = accepts(key.rpartition(".")[2], kind)
    if accepted is not None and not accepted.holds(found):
        raise ValueError(accepted.words)
    return kind(found)


def _literal(text: str) -> Any:
    """What Python or JSON reads in a text; None for what JSON could not write."""
    for read in (ast.literal_eval, json.loads):
        try:
            found = read(text.strip())
            json.dumps(found)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        return found
    return None
