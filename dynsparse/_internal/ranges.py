"""Which values settings accept, as annotations: `weight: NotNegative`."""

import collections.abc
import functools
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

SEED = "an integer in [0, 2^32)"


class Accepts(NamedTuple):
    """A condition on a value, and the same in words."""

    holds: Callable[[Any], bool]
    words: str


Positive = Annotated[float, Accepts(lambda x: x > 0, "> 0")]
NotNegative = Annotated[float, Accepts(lambda x: x >= 0, ">= 0")]
Fraction = Annotated[float, Accepts(lambda x: 0 <= x <= 1, "in [0, 1]")]
PositiveFraction = Annotated[float, Accepts(lambda x: 0 < x <= 1, "in (0, 1]")]
BelowOne = Annotated[float, Accepts(lambda x: 0 <= x < 1, "in [0, 1)")]
Count = Annotated[int, Accepts(lambda x: x >= 1, ">= 1")]
CountOrZero = Annotated[int, Accepts(lambda x: x >= 0, ">= 0")]


class Checked:
    """Settings, as a frozen dataclass that refuses what its annotations do not accept.

    Raises:
        ValueError: With the key, what is accepted and the value.
    """

    def __post_init__(self):
        check_types(type(self).__name__, hints_of(type(self)), vars(self))

    def require(self, key: str, holds: bool, accepted: str):
        """Raises a ValueError unless what `key` has to do with other keys `holds`."""
        if not holds:
            name, value = type(self).__name__, getattr(self, key)
            raise ValueError(f"{name}: {key} must be {accepted}, got {value!r}.")


@functools.cache
def hints_of(annotated: Any) -> dict[str, Any]:
    """The annotations of a class or function, as far as they can be read."""
    try:
        return typing.get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError):  # of another library, under type checking alone
        return {}


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
        hint: Any = hints.get(key)
        plain = hint.__origin__ if typing.get_origin(hint) is Annotated else hint
        for accepted in (accepts(key, plain), accepts(key, hint)):
            if accepted is not None and not accepted.holds(value):
                told = f"must be {accepted.words}, got {value!r}."
                raise ValueError(f"{name}: {key} {told}")


def accepts(key: str, hint: Any) -> Accepts | None:
    """What a value may be; None for anything.

    Args:
        key: Without its section.
        hint: Its annotation.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is int and key == "seed":
        return Accepts(is_seed, SEED)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Annotated:
        plain, within = accepts(key, arguments[0]), arguments[1]
        if plain is None:
            return within
        both = lambda value: (
            plain.holds(value) and (_is_foreign(value) or within.holds(value))
        )
        return Accepts(both, within.words)
    if origin is typing.Literal:
        return Accepts(lambda value: value in arguments, f"one of {sorted(arguments)}")
    if origin in (tuple, collections.abc.Sequence):
        inner = accepts(key, arguments[0])
        if inner is not None:
            within = lambda value: (
                _is_foreign(value)
                or (isinstance(value, tuple | list) and all(map(inner.holds, value)))
            )
            return Accepts(within, f"a tuple, each value {inner.words}")
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
    return number and bool(abs(value) < 1e30)  # which neither nan nor infinity is


_PLAIN: dict[Any, Accepts] = {
    int: Accepts(_is_integer, "an integer below 2^31"),
    float: Accepts(_is_number, "a number below 1e30"),
    bool: Accepts(
        lambda value: _is_foreign(value) or isinstance(value, bool), "True or False"
    ),
    str: Accepts(lambda value: _is_foreign(value) or isinstance(value, str), "a word"),
}
