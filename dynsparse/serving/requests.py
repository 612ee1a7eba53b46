"""Requests of a ladder: what they must look like, and how they become whole passes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from dynsparse._internal.call import Call, call

_ONE_ARRAY = call(np.zeros(())).form


@dataclasses.dataclass(frozen=True)
class Requests:
    """Form of the requests that a ladder is compiled for.

    Attributes:
        example: Shapes of a call with one example.
        carries: Whether the leading axis of each array is that of the examples.
    """

    example: Call
    carries: tuple[bool, ...]

    @classmethod
    def like(cls, asked: Call) -> "Requests":
        """Returns the form of requests like one call, with any number of examples."""
        return cls(asked.one_example(), asked.carries_batch)

    def shapes(self, number: int) -> Call:
        """Returns the shapes of a call with a number of examples."""
        sized = lambda x: jax.ShapeDtypeStruct((number, *x.shape[1:]), x.dtype)
        return self.example.over_batch(sized, self.carries)

    def filled(self, asked: Call, size: int, start: int = 0) -> Call:
        """Returns a pass: `size` examples from `start` on.

        Where fewer are left, they are repeated.
        """

        def take(x):
            left = np.asarray(x)[start : start + size]
            return left if len(left) == size else left[np.arange(size) % len(left)]

        return asked.over_batch(take, self.carries)


def checked(x: PyTree, requests: Requests | None) -> Call:
    """Returns a request as a call, with its arrays in native byte order.

    Args:
        x: At least one example: an array, a pytree of them, or a call.
        requests: What it must look like; None to accept any array and any call.

    Raises:
        ValueError: If there is no example, or it does not look so.
    """
    if isinstance(x, Call):
        asked = x
    elif requests is None or requests.example.form == _ONE_ARRAY:
        try:
            asked = call(np.asarray(x))
        except Exception as error:  # whatever it is, numpy cannot make an array of it
            raise ValueError(f"examples are no array: {error}.") from error
    else:
        asked = call(x)
    if not asked.num_examples:
        raise ValueError(f"a pass needs at least one example, got {asked}.")
    asked = dataclasses.replace(asked, arrays=tuple(map(_native, asked.arrays)))
    if requests is None:
        return asked
    asked = _in_order(asked, requests.example.form.keywords)
    shapes = lambda call: [(x.shape, x.dtype) for x in call.arrays]
    alike = asked.form == requests.example.form
    if not alike or shapes(asked) != shapes(requests.shapes(asked.num_examples)):
        raise ValueError(
            f"a request must look like {requests.example}, with any number of "
            f"examples; got {asked}."
        )
    return asked


def joined(outputs: Sequence[PyTree], counts: Sequence[int], carries: PyTree) -> PyTree:
    """Returns the output of a request from those of its passes.

    Args:
        outputs: Outputs of the passes, which may have been filled up.
        counts: Examples of each pass that are the request's own.
        carries: From `programs.answers`. An array without examples, such as a loss, is
            that of the last pass.
    """

    def join(carries, *arrays):
        if not carries:
            return np.asarray(arrays[-1])
        own = zip(arrays, counts, strict=True)
        return np.concatenate([np.asarray(x)[:count] for x, count in own])

    return jax.tree.map(join, jax.tree.broadcast(carries, outputs[0]), *outputs)


def _in_order(asked: Call, keywords: Sequence[str]) -> Call:
    """A call with its keyword arguments in the order of another one."""
    given = asked.form.keywords
    if given == keywords or set(given) != set(keywords):
        return asked
    return call(*asked.args, **{name: asked.kwargs[name] for name in keywords})


def _native(x: Any) -> Any:
    """An array in native byte order; keys of random numbers stay as they are."""
    if jax.numpy.issubdtype(x.dtype, jax.dtypes.extended):
        return x
    found = np.asarray(x)
    return found.astype(found.dtype.newbyteorder("="), copy=False)
