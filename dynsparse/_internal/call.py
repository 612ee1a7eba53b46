"""How a model is called: its arguments, told apart into arrays and all else."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np


class _Form(NamedTuple):
    """What a compiled program depends on beside shapes; compared by value.

    Attributes:
        keywords: Names of the keyword arguments, in the order in which they are given.
        tree: Tree structure of the arguments.
        static: Leaves that are no arrays; None in place of an array.
    """

    keywords: tuple[str, ...]
    tree: Any
    static: tuple["_Static | None", ...]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Call:
    """Arguments of one call of a model; made by `dynsparse.call`.

    A pytree: its leaves are the arrays among the arguments (of jax or numpy, or
    `jax.ShapeDtypeStruct`s), so that it passes through `jax.jit` and `jax.tree.map`.
    All else (flags, numbers, strings, functions) is static, as it was given: a program
    is compiled for each of its values. Modules, such as caches and
    `nnx.Rngs`, are pytrees, too: the model gets copies that hold the same arrays, and
    what it changes in them is not seen outside.

    The batch is told by the first array that has an axis: positional arguments come
    first, then keywords as they are written, and the entries of a dict by their keys.
    Its leading axis is that of the examples; so is the leading axis of every other
    array where it has the same length. The model fails, or a bill is wrong, where some
    other axis has that length by chance: give a batch whose size no other argument has.

    Attributes:
        arrays: Leaves that are arrays.
        form: Everything else.

    >>> import dynsparse
    >>> call = dynsparse.call(jnp.ones((3, 8)), weight=jnp.ones((8, 2)), train=False)
    >>> call, call.num_examples
    (call(float32[3, 8], weight=float32[8, 2], train=False), 3)
    >>> call.one_example()
    call(float32[1, 8], weight=float32[8, 2], train=False)
    >>> call(lambda x, weight, train: (x @ weight).shape)
    (3, 2)
    """

    arrays: tuple[Any, ...]
    form: Any = dataclasses.field(metadata=dict(static=True))

    def __call__(self, model: Callable[..., Any]) -> Any:
        """Returns what `model` gives when it is called with these arguments."""
        return model(*self.args, **self.kwargs)

    def __repr__(self) -> str:
        shape = lambda x: _Text(f"{x.dtype}{list(x.shape)}" if _is_array(x) else x)
        args, values = self._filled(map(shape, self.arrays))
        named = zip(self.form.keywords, values, strict=True)
        words = [*map(repr, args), *(f"{name}={value!r}" for name, value in named)]
        return f"call({', '.join(words)})"

    @property
    def args(self) -> tuple[Any, ...]:
        """Positional arguments."""
        return self._filled(self.arrays)[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments."""
        values = self._filled(self.arrays)[1]
        return dict(zip(self.form.keywords, values, strict=True))

    @property
    def num_examples(self) -> int:
        """Number of examples: length of the leading axis of the first array with one.

        Raises:
            ValueError: If no array has an axis.
        """
        for x in self.arrays:
            if x.ndim:
                return x.shape[0]
        raise ValueError(
            f"the batch of {self} cannot be told: no argument is an array with "
            "an axis, whose first one is that of the examples."
        )

    @property
    def carries_batch(self) -> tuple[bool, ...]:
        """Whether the leading axis of each array is that of the examples."""
        number = self.num_examples
        return tuple(x.ndim > 0 and x.shape[0] == number for x in self.arrays)

    def over_batch(
        self,
        function: Callable[[Any], Any],
        carries_batch: Sequence[bool] | None = None,
    ) -> "Call":
        """Returns the call with `function` applied to the arrays that carry the batch.

        Args:
            function: Maps an array to another one.
            carries_batch: Which arrays these are, where a larger batch of the same form
                has told it; None for the attribute.
        """
        chosen = self.carries_batch if carries_batch is None else carries_batch
        pairs = zip(self.arrays, chosen, strict=True)
        return dataclasses.replace(
            self, arrays=tuple(function(x) if carries else x for x, carries in pairs)
        )

    def one_example(self) -> "Call":
        """Returns the shapes of a call with one example."""
        one = lambda x: jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
        return self.over_batch(one).shapes()

    def examples(self, start: int, stop: int) -> "Call":
        """Returns the call with a part of the batch, from `start` to before `stop`."""
        return self.over_batch(lambda x: x[start:stop])

    def shapes(self) -> "Call":
        """Returns the call with a `jax.ShapeDtypeStruct` in place of each array."""
        shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
        return dataclasses.replace(self, arrays=tuple(map(shape, self.arrays)))

    def _filled(self, arrays: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Positional arguments and values of the keywords, with `arrays` for arrays."""
        arrays = iter(arrays)
        leaves = [next(arrays) if x is None else x.value for x in self.form.static]
        return jax.tree.unflatten(self.form.tree, leaves)


def call(*args: Any, **kwargs: Any) -> Call:
    """Arguments of one call of a model, positional and keyword, as one value.

    It stands for an input wherever a model is to be called: in a bill, a ladder, or a
    batch of causal twins. A call that is given alone is returned as it is, so that what
    takes `*args, **kwargs` takes a call as well.

    Args:
        *args: Positional arguments of the model: arrays, shapes, pytrees, flags.
        **kwargs: Its keyword arguments, whatever they are called.

    >>> import dynsparse
    >>> net = lambda x, *, mask, while_bound: x * mask
    >>> example = dynsparse.call(jnp.ones((2, 4)), mask=jnp.ones((2, 1)), while_bound=3)
    >>> example(net).shape
    (2, 4)
    >>> dynsparse.call(example) is example
    True
    """
    if len(args) == 1 and not kwargs and isinstance(args[0], Call):
        return args[0]
    leaves, tree = jax.tree.flatten((args, tuple(kwargs.values())))
    static = tuple(None if _is_array(x) else _Static(x) for x in leaves)
    arrays = tuple(filter(_is_array, leaves))
    return Call(arrays, _Form(tuple(kwargs), tree, static))


class _Static:
    """A value that programs are compiled for, compared by its type and value.

    Where it has no hash, such as a dataclass, it is compared as it was when it was
    given: what it holds may change later.

    Attributes:
        value: The value itself.
    """

    def __init__(self, value: Any):
        self.value = value
        try:
            self._compared, self._hash = value, hash((type(value), value))
        except TypeError:
            self._compared, self._hash = copy.deepcopy(value), hash(type(value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Static) or type(self.value) is not type(other.value):
            return False
        return bool(self._compared == other._compared)

    def __hash__(self) -> int:
        return self._hash


class _Text(str):
    """Text that is shown without quotation marks."""

    __repr__ = str.__str__


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray | jax.ShapeDtypeStruct)
