"""Rows of a host: the leading axes of its input, in every value that has them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dynsparse.layers.trace.axes.axes import Axes
from dynsparse.layers.trace.program.program import Value


@dataclasses.dataclass(frozen=True)
class Rows:
    """Some leading axes of a host's input, each in its factors.

    Attributes:
        axes: Axes of the program.
        factors: Factors of the rows, outer ones first, without those of size 1.
        resized: Lengths of factors that are not those of the trace.
    """

    axes: Axes
    factors: tuple[int, ...]
    resized: Mapping[int, int] = dataclasses.field(default_factory=dict)

    @classmethod
    def leading(
        cls,
        axes: Axes,
        stream: Value,
        count: int,
        resized: Mapping[int, int] | None = None,
    ) -> "Rows":
        """Returns the rows of the first `count` axes of a value."""
        found = [
            f for axis in axes.of(stream)[:count] for f in axes.classes.factors(axis)
        ]
        factors = tuple(f for f in found if axes.classes.size((f,)) > 1)
        return cls(axes, factors, resized or {})

    def size(self, factor: int) -> int:
        """Returns the length of a factor."""
        return self.axes.classes.size((factor,), dict(self.resized))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the factors."""
        return tuple(map(self.size, self.factors))

    @property
    def count(self) -> int:
        """Number of rows."""
        return math.prod(self.shape)

    def few(self, count: int) -> "Rows":
        """Returns rows of which there are fewer, all of them along the last factor."""
        sizes = dict(self.resized) | dict.fromkeys(self.factors, 1)
        sizes |= dict.fromkeys(self.factors[-1:], count)
        return dataclasses.replace(self, resized=sizes)

    def of(self, value: Value) -> list[int]:
        """Returns the factors of the rows that a value has."""
        own = self.expanded(value)
        return [factor for factor in self.factors if factor in own]

    def expanded(self, value: Value) -> list[int]:
        """Returns the factors of all axes of a value, in order."""
        axes = self.axes.of(value)
        return [f for axis in axes for f in self.axes.classes.factors(axis)]

    def apart(self, value: Value, x: Shaped[Array, "*shape"]) -> Shaped[Array, "..."]:
        """Brings rows to the front: [rows, *shape], in `shape` each row's size is 1."""
        own = self.expanded(value)
        x = x.reshape([self.size(f) for f in own])
        x = jnp.moveaxis(
            x, [own.index(f) for f in self.of(value)], range(len(self.of(value)))
        )
        for i, factor in enumerate(self.factors):
            if factor not in own:
                shape = (*x.shape[:i], self.size(factor), *x.shape[i:])
                x = jnp.broadcast_to(jnp.expand_dims(x, i), shape)
        one = dict.fromkeys(self.factors, 1)
        return x.reshape(self.count, *self._shape(value, one))

    def together(self, value: Value, x: Shaped[Array, "rows ..."]) -> Any:
        """Puts rows back into the axes of a value: the inverse of `apart`."""
        own = self.expanded(value)
        order = [own.index(f) for f in self.of(value)]
        order += [i for i, f in enumerate(own) if f not in self.factors]
        x = x.reshape([self.size(own[i]) for i in order])
        x = jnp.transpose(x, [order.index(i) for i in range(len(own))])
        return x.reshape(self._shape(value, self.resized))

    def sizes(
        self, value: Value, x: Shaped[Array, "*shape"], units: int | None
    ) -> Float[Array, "rows units"]:
        """Sums the sizes of what a value has for each row and unit.

        Args:
            value: Has some of the rows, and the units.
            x: The array of the value.
            units: As in `beside`.
        """
        own, size = self.expanded(value), self.size
        order = [*self.factors, *([] if units is None else [units])]
        x = jnp.abs(x).astype(jnp.float32).reshape([size(f) for f in own])
        x = x.sum([i for i, f in enumerate(own) if f not in order])
        own = [f for f in own if f in order]
        x = jnp.transpose(x, [own.index(f) for f in order if f in own])
        x = x.reshape([size(f) if f in own else 1 for f in order])
        whole = jnp.broadcast_to(x, [size(f) for f in order])
        return whole.reshape(self.count, -1)

    def beside(
        self, value: Value, weights: Shaped[Array, "*rows units"], units: int | None
    ) -> Shaped[Array, "..."]:
        """Spreads weights of rows and units over the axes of a value.

        Args:
            value: Has all of the rows, and the units.
            weights: One for each unit of each row.
            units: Factor of the units; None for one unit, which has no axis.
        """
        own = self.expanded(value)
        order = [*self.factors, *([] if units is None else [units])]
        found = [f for f in own if f in order]
        weights = weights.reshape([self.size(f) for f in order])
        weights = jnp.transpose(weights, [order.index(f) for f in found])
        weights = weights.reshape([self.size(f) if f in order else 1 for f in own])
        ones = self.axes.of(value)
        if all(len(self.axes.classes.factors(axis)) == 1 for axis in ones):
            return weights
        weights = jnp.broadcast_to(weights, [self.size(f) for f in own])
        return weights.reshape(self._shape(value, self.resized))

    def _shape(self, value: Value, sizes: Mapping[int, int]) -> Sequence[int]:
        """The shape of a value, where some factors have another length."""
        sizes = {**self.resized, **sizes}
        return [self.axes.classes.size(axis, sizes) for axis in self.axes.of(value)]
