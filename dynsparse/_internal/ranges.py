"""How settings refuse a value that is out of range."""

import collections.abc
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

SEED = "an integer in [0, 2^32)"


def check(settings: Any, key: str, holds: bool, accepted: str):
    """Raises a ValueError that names `key` of `settings` unless its value `holds`.

    Args:
        settings: Called in the error as configs call it.
        key: An attribute of it.
        holds: Whether its value is accepted.
        accepted: What is, in words.
    """
    if not holds:
        value = getattr(settings, key)
        raise ValueError(
            f"{called(settings)}: {key} must be {accepted}, got {value!r}."
        )


def called(settings: Any) -> str:
    """As configs write it: "pi_controller" for PiController, "train" for TrainSettings.

    Args:
        settings: An instance.
    """
    words = re.findall("[A-Z][a-z0-9]*", type(settings).__name__)
    return "_".join(words).lower().removesuffix("_settings")


def check_density(density: float):
    """Raises a ValueError that names a density outside [0, 1]."""
    if not 0 <= density <= 1:
        raise ValueError(f"density must be in [0, 1], got {density}.")


def check_types(name: str, hints: Mapping[str, Any], values: Mapping[str, Any]):
    """Refuses plain values of another type than annotated, and those not finite.

    Args:
        name: What has the values, in the error.
        hints: The annotation of each; those that say no plain type accept anything.
        values: By key.

    Raises:
        ValueError: With the key, what is accepted and the value.
    """
    for key, value in values.items():
        accepted = accepts(key, hints.get(key))
        if accepted is not None and not accepted[0](value):
            raise ValueError(f"{name}: {key} must be {accepted[1]}, got {value!r}.")


def accepts(key: str, hint: Any) -> tuple[Callable[[Any], bool], str] | None:
    """What a value may be: a predicate, and the same in words; None for anything.

    Args:
        key: Without its section.
        hint: Its annotation.
    """
    if hint is int and key == "seed":
        return is_seed, SEED
    if hint in _PLAIN:
        return _PLAIN[hint]
    if typing.get_origin(hint) in (tuple, collections.abc.Sequence):
        inner = accepts(key, typing.get_args(hint)[0])
        if inner is not None:
            fits, words = inner
            within = lambda value: (
                _is_foreign(value)
                or (isinstance(value, tuple | list) and all(map(fits, value)))
            )
            return within, f"a tuple, each value {words}"
    return None


def is_seed(value: Any) -> bool:
    """Whether a random stream takes `value` for its seed."""
    return _is_foreign(value) or (_is_whole(value) and 0 <= value < 2**32)


def _is_foreign(value: Any) -> bool:
    plain = bool | int | float | str | tuple | list | Mapping | None
    return not isinstance(value, plain)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_foreign(value) or (_is_whole(value) and abs(value) < 2**31)


def _is_number(value: Any) -> bool:
    if _is_foreign(value):
        return True
    number = _is_whole(value) or isinstance(value, float)
    return number and abs(value) < 1e30  # which neither nan nor infinity is


_PLAIN: dict[Any, tuple[Callable[[Any], bool], str]] = {
    int: (_is_integer, "an integer below 2^31"),
    float: (_is_number, "a number below 1e30"),
    bool: (
        lambda value: _is_foreign(value) or isinstance(value, bool),
        "True or False",
    ),
    str: (lambda value: _is_foreign(value) or isinstance(value, str), "a word"),
}
