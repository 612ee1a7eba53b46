"""Layers that are sums of parts, of which each row runs those that its gate opens."""

import abc
import math
from collections.abc import Sequence

import jax
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.base import GatedLayer


class GatedParts(GatedLayer, abc.ABC):
    """A host whose output is a sum of parts: heads, experts, blocks of neurons.

    A row is what decides: an example, or a token where `score_axis` is "rows". Compact
    execution goes from part to part and computes each for the rows that open it, so
    that they share its weights: an expert's capacity never drops a row.

    Args:
        host: What is cut into parts.
        scorer: Maps the input to scores, [*rows, num_parts].
        gate: Any kind.
        num_parts: Units per row.
    """

    kinds = ("fixed", "varying", "full")
    capacity_steps = 16  # of each part
    equal_units = True

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_parts: int,
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_parts)

    @abc.abstractmethod
    def whole(
        self,
        x: Array,
        mask: Float[Array, "batch n"] | None,
        parts: Float[Array, "*rows parts"] | None,
    ) -> Array:
        """The host's output; `parts` weighs its parts, None stands for ones."""

    @abc.abstractmethod
    def part(
        self, index: int, x: Array, mask: Float[Array, "rows *tokens"] | None
    ) -> Array:
        """What one part adds to the output of each row of `x`, [rows, ...]."""

    @abc.abstractmethod
    def shared(self, x: Array) -> Array:
        """The output without any part, [*rows, ...]: a bias, or zeros."""

    def __call__(self, x: Array, mask: Float[Array, "batch n"] | None = None) -> Array:
        """Returns the sum of the open parts.

        Args:
            x: The host's input.
            mask: Tokens that are open further out; the others run nothing.
        """
        deciding = mask if self.score_axis == "rows" else None
        forced = self.forced_count
        if self.opens_all(self.competing(x) if forced is None else _pairs(self, x)):
            self.decide_all(x, deciding)
            return self.whole(x, mask, None)
        parts = self.decide(self.reads(x, mask), deciding).mask
        if self.execution == "masked":
            return self.whole(x, mask, parts)
        lead = parts.ndim - 1
        flat = lambda a: a.reshape(-1, *a.shape[lead:])
        start, rows = self.shared(x), jax.tree.map(flat, (x, mask))
        if forced is not None:
            total = self._first_pairs(rows, flat(start), forced)
        else:
            total = self.sum_open(rows, flat(parts), flat(start), self.sizes(x))
        return total.reshape(start.shape)

    def reads(self, x: Array, mask: Float[Array, "batch n"] | None) -> Array:
        """What the scorer is given."""
        del mask
        return x

    def competing(self, x: Array) -> int:
        """Units that each decision of the gate is about."""
        del x
        return self.num_units

    def sizes(self, x: Array) -> Sequence[int]:
        """Capacities of each part: of rows that open it."""
        return ops.capacities(_num_rows(self, x), self.capacity_steps)

    def sum_open(
        self,
        rows,
        parts: Float[Array, "rows parts"],
        start: Array,
        sizes: Sequence[int],
    ) -> Array:
        """Adds to `start` the open parts of each row.

        Args:
            rows: The arguments of `part` but for the index, one entry per row.
            parts: The decision.
            start: As in `shared`.
            sizes: Capacities of each part.
        """
        part = lambda index, rows: self.part(index, *rows)
        return ops.sum_of_parts(rows, parts, part, start, sizes)

    def _first_pairs(self, rows, start, left: int):
        """Runs `left` pairs of row and part, as many as that and no more."""
        total = start
        for index in range(self.num_units):
            size = min(len(start), left)
            some = jax.tree.map(lambda x, size=size: x[:size], rows)
            if size:
                total = total.at[:size].add(self.part(index, *some))
            left -= size
        return total


def _num_rows(layer: GatedParts, x: Array) -> int:
    return math.prod(x.shape[:-1] if layer.score_axis == "rows" else x.shape[:1])


def _pairs(layer: GatedParts, x: Array) -> int:
    return _num_rows(layer, x) * layer.num_units
