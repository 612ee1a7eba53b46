"""Finds a class by the name of its file, inside this library or outside it."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from dynsparse._internal.ranges import check_types
from dynsparse._internal.suggest import did_you_mean


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


def find(package: str, name: str) -> type:
    """Returns the class that `name` stands for.

    Args:
        package: Dotted package of this library, such as "dynsparse.gates".
        name: A file of that package, which holds the class of the same name in
            CamelCase, or "package.module:Class" for one outside the library.

    Raises:
        ValueError: If there is no such file, module or class.
    """
    kind = package.rpartition(".")[2]
    if ":" in name:
        module, _, attribute = name.partition(":")
    elif name in available(package):
        module, attribute = f"{package}.{name}", _camel_case(name)
    else:
        names = ", ".join(available(package))
        raise ValueError(
            f"{kind}: unknown name {name!r}; accepted: {names}, or package.module:Class"
            f"{did_you_mean(name, available(package))}"
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{kind}: cannot load {name!r}: {error}") from error


def build(package: str, config: Config, **arguments: Any) -> Any:
    """Builds the object that `config["name"]` names from the other keys of `config`.

    Args:
        package: As in `find`.
        config: The name, and exactly the constructor's own keys.
        **arguments: What the caller adds to every constructor of the package.

    Raises:
        ValueError: If the name is unknown, a key is missing or unknown, or the
            constructor does not take what the caller adds.
    """
    constructor, settings = check(package, config, arguments)
    return constructor(**settings, **arguments)


def check(
    package: str, config: Config, arguments: Collection[str]
) -> tuple[Any, dict[str, Any]]:
    """Returns what `build` calls, and the keys of `config` that it calls it with.

    Args:
        package: As in `find`.
        config: As in `build`.
        arguments: Names of what the caller adds.

    Raises:
        ValueError: As in `build`, but for what the constructor raises.
    """
    kind = package.rpartition(".")[2]
    settings = dict(config)
    if "name" not in settings:
        names = ", ".join(available(package))
        raise ValueError(f"{kind}: needs the key 'name'; accepted: {names}")
    name = settings.pop("name")
    if not isinstance(name, str):
        raise ValueError(f"{kind}: name must be a word, got {name!r}.")
    constructor = find(package, name)
    accepted = inspect.signature(constructor.__init__).parameters
    foreign = [key for key in arguments if key not in accepted]
    if foreign and not _takes_any(accepted):
        raise ValueError(
            f"{kind}: {name} takes no {', '.join(foreign)}, which it is given here"
        )
    own = [key for key in accepted if key not in arguments and key != "self"]
    for key in settings:
        if key not in own:
            raise ValueError(
                f"{kind}: {name} has no key {key!r}; accepted: {own}"
                f"{did_you_mean(key, own)}"
            )
    for key in own:
        if key not in settings and accepted[key].default is inspect.Parameter.empty:
            raise ValueError(f"{kind}: {name} needs the key {key!r}")
    check_types(f"{kind}: {name}", hints_of(constructor.__init__), settings)
    return constructor, settings


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


def hints_of(function: Any) -> dict[str, Any]:
    """The annotations of the arguments of a function, as far as they can be read."""
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # of another library, under type checking alone
        return {}


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _camel_case(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
