"""Single values of a config, as a command or an experiment changes them."""

import ast
import json
import re
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from dynsparse._internal.ranges import accepts
from dynsparse._internal.sections import OPTIONAL
from dynsparse._internal.suggest import did_you_mean
from dynsparse.launching import naming
from dynsparse.launching.command_line import flag_of
from dynsparse.launching.errors import UserError


def override(
    config: ConfigDict, argv: Sequence[str], said: list[str] | None = None
) -> ConfigDict:
    """Changes the values of `--config.KEY=VALUE` in place, one after the other.

    Args:
        config: To change.
        argv: As in `sys.argv`, with no other flags.
        said: Gets each of them as --config.KEY=VALUE, where it is given.

    Returns:
        The config.

    Raises:
        UserError: If a flag, a key or a value is not accepted.
    """
    before = naming.section_names(config)
    words = list(argv[1:])
    while words:
        word = words.pop(0)
        found = re.fullmatch(r"(no)?config\.(.+)", flag_of(word) or "")
        if found is None:
            raise UserError(f"unexpected argument {word!r}; see --help.")
        called, key = f"--{flag_of(word)}", found[2]
        old = check_key(config, key, called)
        _, equals, text = word.partition("=")
        if isinstance(old, bool) and not equals:
            text = "False" if found[1] else "True"
        elif found[1]:
            raise UserError(f"{called}: {old!r} is neither True nor False.")
        elif not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"{called} needs a value: {called}=VALUE")
            text = words.pop(0)
        _put(config, key, _parse(text, old, key, called))
        if said is not None:
            said.append(f"--config.{key}={text}")
    naming.rename(config, before)
    return config


def check_key(config: ConfigDict, key: str, called: str) -> Any:
    """Refuses a key that a config does not have.

    Args:
        config: Of nested sections.
        key: Dotted; [INDEX] at its end is of a value of a tuple.
        called: Names the key in the error.

    Returns:
        What the config holds there.

    Raises:
        UserError: With the keys that its section has.
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
    wrong = lambda accepted: UserError(
        f"{called}: must be {accepted}, got {text[:_LONGEST]!r}"
    )
    if isinstance(old, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise wrong("True or False")
        return text.lower() in ("true", "1")
    if isinstance(old, str):
        return text
    if isinstance(old, int | float):
        return _number(_literal(text), type(old), key, wrong)
    if isinstance(old, tuple | list):
        found = _literal(text)
        kind = type(old[0]) if old else float
        if isinstance(found, int | float) and not isinstance(found, bool):
            found = (found,)
        if not isinstance(found, tuple | list) or isinstance(found, str):
            raise wrong("a tuple, such as (0.5, 1.0)")
        if kind in (int, float):
            found = [_number(value, kind, key, wrong) for value in found]
        return type(old)(found)
    found = _literal(text)
    optional = key in OPTIONAL
    if isinstance(found, dict) and all(isinstance(name, str) for name in found):
        return ConfigDict(found)
    if found is None and optional and text in ("None", "null"):
        return None
    accepted = "{'KEY': VALUE, ...}"
    raise wrong(f"None or {accepted}" if optional else accepted)


def _number(value: Any, kind: type, key: str, wrong: Any) -> int | float:
    accepted = accepts(_split(key, key)[0][-1], kind)
    if accepted is None or not accepted[0](value):
        raise wrong(accepted[1] if accepted else kind.__name__)
    return kind(value)


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


_LONGEST = 60  # characters of a value in an error
