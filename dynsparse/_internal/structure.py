"""The structure of a model, for which programs are compiled once."""

import contextlib
import copy
from typing import Any

from flax import nnx


class Structure:
    """The graph of a model without its arrays, as a static argument of `jax.jit`.

    Models that are built alike have equal structures: one program serves all of them,
    whichever objects they are. The hash is computed once, and an attribute that has
    none, such as a dict, is compared by value.

    Args:
        graphdef: From `nnx.split`.
    """

    def __init__(self, graphdef: Any):
        self._graphdef = graphdef
        try:
            self._hash = hash(graphdef)
        except TypeError:
            with contextlib.suppress(TypeError):  # some functions cannot be copied
                self._graphdef = copy.deepcopy(graphdef)  # what it holds may change
            self._hash = hash(Structure)

    @classmethod
    def split(cls, model: Any, *filters: Any) -> tuple[Any, ...]:
        """Returns the structure of a model or of a pytree of them, and its states."""
        graphdef, *states = nnx.split(model, *filters)
        return cls(graphdef), *states

    def merge(self, *states: Any) -> Any:
        """Returns a model of this structure that holds `states`."""
        return nnx.merge(self._graphdef, *states)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Structure) or self._hash != other._hash:
            return False
        return bool(self._graphdef == other._graphdef)

    def __hash__(self) -> int:
        return self._hash
