"""Finds what a file is named for, and reads its arguments from a config."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from dynsparse._internal.ranges import check_types, hints_of
from dynsparse._internal.suggest import did_you_mean

_LONGEST = 200  # characters of a name in an error
_MAKE = "make"  # the function of a file that holds no class


@runtime_checkable
class Config(Protocol):
    """What a section of a config has to offer: a dict or a ConfigDict does."""

    def keys(self) -> Any:
        """Returns the names of its values."""

    def __getitem__(self, key: str, /) -> Any:
        """Returns the value of `key`."""


def available(package: str) -> list[str]:
    """Names that `build` accepts for `package`: its files, but for base.py."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if m.name != "base")


def find(package: str, name: str, where: str = "") -> Any:
    """Returns the class or the function that `name` stands for.

    Args:
        package: Dotted package of this library, such as "dynsparse.gates".
        name: A file of that package, which holds the class of the same name in
            CamelCase or a function `make`, or "package.module:Class" (or a function)
            for one outside the library.
        where: Section that names it, for the error.

    Raises:
        ValueError: If there is no such file, module or class.
    """
    kind = where or package.rpartition(".")[2]
    shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."
    if ":" in name:
        module, _, attribute = name.partition(":")
    elif name in available(package):
        module, attribute = f"{package}.{name}", _MAKE
        if not hasattr(importlib.import_module(module), _MAKE):
            attribute = _camel_case(name)
    else:
        names = ", ".join(available(package))
        raise ValueError(
            f"{kind}: unknown name {shown!r}; accepted: {names}, or "
            f"package.module:Class{did_you_mean(name, available(package))}"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{kind}: cannot load {shown!r}: {error}") from error
    if not callable(found):
        raise ValueError(f"{kind}: {shown} is {found!r}, not a class or a function.")
    return found


def build(package: str, config: Config, where: str = "", /, **arguments: Any) -> Any:
    """Builds the object that `config["name"]` names from the other keys of `config`.

    Args:
        package: As in `find`.
        config: The name, and exactly the constructor's own keys.
        where: As in `find`.
        **arguments: What the caller adds to every constructor of the package.

    Raises:
        ValueError: If the name is unknown, a key is missing or unknown, or the
            constructor does not take what the caller adds.
    """
    constructor, settings = check(package, config, arguments, where)
    return constructor(**settings, **arguments)


def check(
    package: str, config: Config, arguments: Collection[str], where: str = ""
) -> tuple[Any, dict[str, Any]]:
    """Returns what `build` calls, and the arguments that it reads from `config`.

    Args:
        package: As in `find`.
        config: As in `build`.
        arguments: Names of what the caller adds.
        where: As in `find`.

    Raises:
        ValueError: As in `build`, but for what the constructor raises.
    """
    kind = where or package.rpartition(".")[2]
    settings = dict(config)
    if "name" not in settings:
        names = ", ".join(available(package))
        raise ValueError(f"{kind}: needs the key 'name'; accepted: {names}")
    name = settings.pop("name")
    if not isinstance(name, str):
        raise ValueError(f"{kind}: name must be a word, got {name!r}.")
    constructor = find(package, name, where)
    accepted = inspect.signature(_body(constructor)).parameters
    foreign = [key for key in arguments if key not in accepted]
    if foreign and not _takes_any(accepted):
        raise ValueError(
            f"{kind}: {name} takes no {', '.join(foreign)}, which it is given here"
        )
    told = f"{kind}: {name}"
    return constructor, _arguments(constructor, settings, arguments, kind, told)


def read(hint: Any, value: Any, where: str) -> Any:
    """Returns what a value of a config stands for.

    A class of a `base` module is read from a section that names a class of its package,
    another dataclass from a section of its fields, and a tuple of the former from a
    section that has a section for each name. Other values are themselves.

    Args:
        hint: Annotation of the value.
        value: Plain.
        where: Its dotted key, for errors.

    Raises:
        ValueError: If a name or key is unknown, missing, or not accepted.
    """
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        return None if value is None else read(arguments[0], value, where)
    if typing.get_origin(hint) is tuple and _is_named(arguments[0]):
        rows = {name: (f"{where}.{name}", row) for name, row in _keys(value, where)}
        return tuple(
            read(arguments[0], {"name": name} | dict(_keys(row, at)), at)
            for name, (at, row) in rows.items()
        )
    if _is_named(hint):
        package = hint.__module__.rpartition(".")[0]
        return build(package, dict(_keys(value, where)), where)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        settings = dict(_keys(value, where))
        return hint(**_arguments(hint, settings, (), where, where))
    return value


def _is_named(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint) and hint.__module__.endswith(".base")


def _keys(section: Any, where: str) -> Any:
    if not hasattr(section, "keys"):
        raise ValueError(f"{where} must be a section of keys, got {section!r}.")
    return dict(section).items()


def _arguments(
    constructor: Any,
    settings: dict[str, Any],
    given: Collection[str],
    where: str,
    told: str,
) -> dict[str, Any]:
    """The arguments of a constructor from a section: exactly those that are not given.

    Args:
        constructor: A class.
        settings: The section, without a name.
        given: Names of arguments that are no keys.
        where: Dotted key of the section.
        told: Names the constructor in errors.
    """
    accepted = inspect.signature(_body(constructor)).parameters
    own = [key for key in accepted if key not in given and key != "self"]
    for key in settings:
        if key not in own:
            raise ValueError(
                f"{told} has no key {key!r}; accepted: {own}{did_you_mean(key, own)}"
            )
    for key in own:
        if key not in settings and accepted[key].default is inspect.Parameter.empty:
            raise ValueError(f"{told} needs the key {key!r}")
    hints = hints_of(_body(constructor))
    check_types(told, hints, settings)
    return {
        key: read(hints.get(key), value, f"{where}.{key}")
        for key, value in settings.items()
    }


def names_outside(config: Any) -> Iterator[str]:
    """Yields the names in a config that `find` would import from outside the library.

    Args:
        config: Nested plain values. A name is the value of a key `name`, or the key of
            a section, as in `penalties`.
    """
    if isinstance(config, Mapping):
        for key, value in config.items():
            named = value if key == "name" else key
            if isinstance(named, str) and ":" in named:
                yield named
            yield from names_outside(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from names_outside(value)


def _body(constructor: Any) -> Any:
    """What runs when a class or a function is called."""
    return constructor.__init__ if isinstance(constructor, type) else constructor


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _camel_case(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
