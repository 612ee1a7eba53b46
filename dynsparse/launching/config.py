"""Loads the config of a run and applies the changes of a command line."""

import ast
import difflib
import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse._internal.ranges import accepts
from dynsparse._internal.sections import OPTIONAL, check_sections
from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching import naming
from dynsparse.launching.errors import UserError
from dynsparse.launching.shipped import load_module
from dynsparse.reports.telling import flattened

_LONGEST = 60  # characters of a value in an error
_MOST = 3  # keys of one name that are told
_JSON = "{'KEY': VALUE, ...}"


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


def override(config: ConfigDict, words: Sequence[str]) -> list[str]:
    """Changes the values of `--config.KEY=VALUE` in place, one after the other.

    A value that starts with a brace is a section, and replaces the one that is there.

    Args:
        config: To change.
        words: `--config.KEY=VALUE`, or `--config.KEY` and `--noconfig.KEY` for a value
            that is True or False.

    Returns:
        Each as `--config.KEY=VALUE`.

    Raises:
        UserError: If a key or a value is not accepted.
    """
    said = []
    with naming.renaming(config):
        for word in words:
            called, equals, text = word.partition("=")
            key, denied = called.partition("config.")[2], called.startswith("--no")
            section, name, index = _place(config, key, called)
            old = section[name] if index is None else section[name][index]
            if isinstance(old, bool) and not equals:
                text = str(not denied)
            elif denied:
                raise UserError(f"{called}: {old!r} is neither True nor False.")
            elif not equals:
                raise UserError(f"{called} needs a value: {called}=VALUE")
            value = _parse(text, old, key, called)
            if index is not None:
                whole = section[name]
                value = type(whole)([*whole[:index], value, *whole[index + 1 :]])
            with config.unlocked(), section.ignore_type():
                section[name] = value
            said.append(f"--config.{key}={text}")
    return said


def check_key(config: ConfigDict, key: str):
    """Refuses a dotted key that a config does not have.

    Raises:
        UserError: With the keys that its section has.
    """
    _place(config, key, key)


def meant(name: str, flags: Collection[str], config: str | None) -> str:
    """The end of an error: "; did you mean --config.seed?", or nothing.

    A key of the config that ends with the name comes before a flag that is like it.

    Args:
        name: Of a flag that nobody reads, without dashes and value.
        flags: Names of those that are read.
        config: "FILE.py:ARGUMENT", as after --config.
    """
    try:
        keys = [key for key, _ in flattened(load_config(config or "").to_dict())]
    except UserError:
        keys = []
    last = {key: key.rpartition(".")[2] for key in keys if not key.startswith("names.")}
    found = [key for key in last if f".{key}".endswith((f".{name}", f".{name}.name"))]
    if not found:
        front = name.partition(".")[0]
        close = difflib.get_close_matches(front, [*flags, *last.values()], n=1)
        if close and close[0] in flags:
            return f"; did you mean {close[0]}?"
        found = [key for key in last if [last[key]] == close]
    least = min((key.count(".") for key in found), default=0)
    told = [f"--config.{key}" for key in found if key.count(".") == least]
    return f"; did you mean {' or '.join(told[:_MOST])}?" if told else ""


def _place(config: ConfigDict, key: str, called: str) -> tuple[Any, str, int | None]:
    """The section that holds a key, its name there, and the index after it, if any."""
    found = re.fullmatch(r"([^\[\]]+)(?:\[(\d{1,9})\])?", key)
    if found is None:
        raise UserError(f"{called}: no such key; accepted: KEY.KEY or KEY.KEY[INDEX]")
    path, section, value = found[1].split("."), config, config
    for depth, name in enumerate(path):
        section = value
        if not isinstance(section, ConfigDict):
            before = ".".join(path[:depth])
            raise UserError(f"{called}: {before} is {section!r} and has no keys")
        if name not in section:
            raise UserError(
                f"{called}: no such key; accepted: {', '.join(section)}"
                f"{did_you_mean(name, section)}"
            )
        value = section[name]
    if found[2] is None:
        return section, path[-1], None
    if not isinstance(value, tuple | list):
        raise UserError(f"{called}: {found[1]} is {value!r} and has no index")
    if int(found[2]) >= len(value):
        raise UserError(f"{called}: index {found[2]} is past its {len(value)} values")
    return section, path[-1], int(found[2])


def _parse(text: str, old: Any, key: str, called: str) -> Any:
    """Reads a value of the kind that a config holds already."""

    def wrong(accepted: str) -> UserError:
        return UserError(f"{called}: must be {accepted}, got {text[:_LONGEST]!r}")

    def number(value: Any, kind: type) -> Any:
        name = key.partition("[")[0].rpartition(".")[2]
        fits, accepted = accepts(name, kind) or (lambda _: True, "")
        if not fits(value):
            raise wrong(accepted)
        return kind(value)

    if isinstance(old, str):
        return text
    found = _literal(text)
    if isinstance(old, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise wrong("True or False")
        return text.lower() in ("true", "1")
    if isinstance(old, int | float):
        return number(found, type(old))
    if isinstance(old, tuple | list):
        if isinstance(found, int | float) and not isinstance(found, bool):
            found = (found,)
        if not isinstance(found, tuple | list):
            raise wrong("a tuple, such as (0.5, 1.0)")
        kind = type(old[0]) if old else float
        plain = kind not in (int, float)
        return type(old)(value if plain else number(value, kind) for value in found)
    if isinstance(found, dict) and all(isinstance(name, str) for name in found):
        return ConfigDict(found)
    optional = "." in key or key in OPTIONAL
    if optional and text in ("None", "null"):
        return None
    raise wrong(f"None or {_JSON}" if optional else _JSON)


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
