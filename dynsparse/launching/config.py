"""The config of a run: its file, and what a command changes of it."""

import ast
import difflib
import importlib.util
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse._internal.ranges import accepts
from dynsparse._internal.sections import OPTIONAL, SECTIONS, check_sections
from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching import naming
from dynsparse.launching.errors import UserError
from dynsparse.launching.shipped import HOME, find_file, load_module

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
    name, colon, argument = asked.partition(":")
    path = find_file(name, "configs")
    try:
        if path.is_relative_to(HOME):
            module = load_module(str(path), "configs")
        else:
            spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
            if spec is None or spec.loader is None:
                raise UserError("is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        config = module.get_config(*([argument] if colon and argument else []))
        if not isinstance(config, ConfigDict):
            raise TypeError(f"get_config() gives a {type(config).__name__}")
        check_sections(config)
    except (UserError, ValueError) as error:
        raise UserError(error) from error
    except Exception as error:  # a config is code: anything may come out of it
        told = f"{type(error).__name__}: {error}"
        raise UserError(f"--config: {name}: {told}") from error
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
    before, said = naming.section_names(config), []
    for word in words:
        called, equals, text = word.partition("=")
        key = called.partition("config.")[2]
        old, denied = check_key(config, key, called), called.startswith("--no")
        if isinstance(old, bool) and not equals:
            text = str(not denied)
        elif denied:
            raise UserError(f"{called}: {old!r} is neither True nor False.")
        elif not equals:
            raise UserError(f"{called} needs a value: {called}=VALUE")
        _put(config, key, _parse(text, old, key, called))
        said.append(f"--config.{key}={text}")
    naming.rename(config, before)
    return said


def check_key(config: ConfigDict, key: str, called: str) -> Any:
    """Value that a config holds at a key.

    Args:
        config: Of nested sections.
        key: Dotted; [INDEX] at its end is of a value of a tuple.
        called: Names the key in the error.

    Raises:
        UserError: If there is none, with the keys that its section has.
    """
    path, index = _split(key, called)
    value: Any = config
    for depth, name in enumerate(path):
        if not isinstance(value, ConfigDict):
            before = ".".join(path[:depth])
            raise UserError(f"{called}: {before} is {value!r} and has no keys")
        if name not in value:
            raise UserError(
                f"{called}: no such key; accepted: {', '.join(value)}"
                f"{did_you_mean(name, value)}"
            )
        value = value[name]
    if index is None:
        return value
    if not isinstance(value, tuple | list):
        raise UserError(f"{called}: {'.'.join(path)} is {value!r} and has no index")
    if index >= len(value):
        raise UserError(f"{called}: index {index} is past its {len(value)} values")
    return value[index]


def meant(name: str, flags: Collection[str], config: str | None) -> str:
    """The end of an error: "; did you mean --config.seed?", or nothing.

    A key of the config that ends with the name comes before a flag that is like it.

    Args:
        name: Of a flag that nobody reads, without dashes and value.
        flags: Names of those that are read.
        config: "FILE.py:ARGUMENT", as after --config.
    """
    try:
        found = load_config(config or "").to_dict()
        keys = list(_dotted({key: found[key] for key in SECTIONS if key != "names"}))
    except UserError:
        keys = []
    exact = [key for key in keys if f".{key}".endswith((f".{name}", f".{name}.name"))]
    if not exact:
        last = {key: key.rpartition(".")[2] for key in keys}
        front = name.partition(".")[0]
        close = difflib.get_close_matches(front, [*flags, *last.values()], n=1)
        if close and close[0] in flags:
            return f"; did you mean {close[0]}?"
        exact = [key for key in keys if [last[key]] == close]
    least = min((key.count(".") for key in exact), default=0)
    told = [f"--config.{key}" for key in exact if key.count(".") == least]
    return f"; did you mean {' or '.join(told[:_MOST])}?" if told else ""


def _dotted(section: Mapping[str, Any], front: str = "") -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{front}{key}.")
        else:
            yield front + key


def _split(key: str, called: str) -> tuple[list[str], int | None]:
    found = re.fullmatch(r"([^\[\]]+)(?:\[(\d{1,9})\])?", key)
    if found is None:
        raise UserError(f"{called}: no such key; accepted: KEY.KEY or KEY.KEY[INDEX]")
    return found[1].split("."), None if found[2] is None else int(found[2])


def _put(config: ConfigDict, key: str, value: Any):
    (*path, last), index = _split(key, key)
    section: Any = config
    for name in path:
        section = section[name]
    if index is not None:
        whole = list(section[last])
        whole[index] = value
        value = type(section[last])(whole)
    with config.unlocked(), section.ignore_type():
        section[last] = value


def _parse(text: str, old: Any, key: str, called: str) -> Any:
    """Reads a value of the kind that a config holds already."""
    name = _split(key, key)[0][-1]

    def wrong(accepted: str) -> UserError:
        return UserError(f"{called}: must be {accepted}, got {text[:_LONGEST]!r}")

    def as_number(value: Any, kind: type) -> int | float:
        accepted = accepts(name, kind)
        if accepted is None or not accepted[0](value):
            raise wrong(accepted[1] if accepted else kind.__name__)
        return kind(value)

    if isinstance(old, str):
        return text
    if isinstance(old, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise wrong("True or False")
        return text.lower() in ("true", "1")
    found = _literal(text)
    if isinstance(old, int | float):
        return as_number(found, type(old))
    if isinstance(old, tuple | list):
        kind = type(old[0]) if old else float
        if isinstance(found, int | float) and not isinstance(found, bool):
            found = (found,)
        if not isinstance(found, tuple | list):
            raise wrong("a tuple, such as (0.5, 1.0)")
        if kind in (int, float):
            found = [as_number(value, kind) for value in found]
        return type(old)(found)
    if isinstance(found, dict) and all(isinstance(name, str) for name in found):
        return ConfigDict(found)
    optional = key in OPTIONAL or "." in key
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
