"""Methods that answer when a program is made: numbers, shapes, yes or no."""

import types
from typing import Any

_NAMES = {"static_count", "opens_all", "decision_shape", "competing", "sizes"}


class KnownAnswers:
    """A class whose methods of these names are no functions of it.

    `nnx.tabulate` compiles every function of a class that is public, so that what it
    answers is an array, of which no program can be made to depend.
    """

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for name in vars(cls).keys() & _NAMES:
            setattr(cls, name, _Method(vars(cls)[name]))


class _Method:
    def __init__(self, function: Any):
        self.__wrapped__ = function

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return types.MethodType(self.__wrapped__, instance)
