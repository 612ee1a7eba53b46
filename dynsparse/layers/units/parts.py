"""Layers that are sums of parts, of which each row runs those that its gate opens."""

import abc
import math
from collections.abc import Sequence

import jax
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.layers.base.gated_layer import GatedLayer

Rows = tuple[Float[Array, "rows *axes"], Float[Array, "rows *tokens"] | None]


class GatedParts(GatedLayer, abc.ABC):
    """A host whose output is a sum of parts: heads, experts, blocks of neurons.

    A row is what decides: an example, or a token where `score_axis` is "rows". Compact
    execution goes from part to part and computes each for the rows that open it, so
    that they share its weights: an expert's capacity never drops a row.

    Args:
        host: What is cut into parts.
        scorer: Maps the input to scores, [*rows, num_units].
        gate: Any kind.
        num_units: Parts per row.
    """

    kinds = ("fixed", "varying", "full")
    capacity_steps = 16  # of each part
    equal_units = True

    @abc.abstractmethod
    def whole(
        self,
        x: Float[Array, "batch *axes"],
        mask: Float[Array, "batch n"] | None,
        parts: Float[Array, "batch *rows parts"] | None,
    ) -> Float[Array, "batch *output"]:
        """Computes the host's output.

        Args:
            x: The host's input.
            mask: Tokens that are open in a layer around this one; None for all.
            parts: Weighs the parts of the host; None stands for ones.
        """

    @abc.abstractmethod
    def part(
        self,
        index: int,
        x: Float[Array, "rows *axes"],
        mask: Float[Array, "rows *tokens"] | None,
    ) -> Float[Array, "rows *output"]:
        """Computes what one part adds to the output of each row.

        Args:
            index: Which part, in [0, num_units).
            x: The host's input, one entry for each row.
            mask: As in `whole`.
        """

    @abc.abstractmethod
    def shared(self, x: Float[Array, "batch *axes"]) -> Float[Array, "batch *output"]:
        """Computes the output without any part: a bias, or zeros."""

    def __call__(
        self,
        x: Float[Array, "batch *axes"],
        mask: Float[Array, "batch n"] | None = None,
    ) -> Float[Array, "batch *output"]:
        """Returns the sum of the open parts.

        Args:
            x: The host's input.
            mask: Tokens that are open in a layer around this one; the others run
                nothing.
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
            part = lambda index, rows: self.part(index, *rows)
            total = ops.first_pairs(rows, part, flat(start), self.num_units, forced)
        else:
            total = self.sum_open(rows, flat(parts), flat(start), self.sizes(x))
        return total.reshape(start.shape)

    def reads(
        self, x: Float[Array, "batch *axes"], mask: Float[Array, "batch n"] | None
    ) -> Float[Array, "batch *axes"]:
        """Returns what the scorer reads of the input."""
        return x

    def competing(self, x: Float[Array, "batch *axes"]) -> int:
        """Number of units that each decision of the gate is about."""
        return self.num_units

    def sizes(self, x: Float[Array, "batch *axes"]) -> Sequence[int]:
        """Capacities of each part, in rows that open it, rising."""
        return ops.capacities(_num_rows(self, x), self.capacity_steps)

    def sum_open(
        self,
        rows: Rows,
        parts: Float[Array, "rows parts"],
        start: Float[Array, "rows *output"],
        sizes: Sequence[int],
    ) -> Float[Array, "rows *output"]:
        """Adds to `start` the open parts of each row.

        Args:
            rows: The input and the mask of `part`, one entry for each row.
            parts: The decision.
            start: The output without any part, as `shared` gives it.
            sizes: Capacities of each part, in rows.
        """
        part = lambda index, rows: self.part(index, *rows)
        return ops.sum_of_parts(rows, parts, part, start, sizes)


def _num_rows(layer: GatedParts, x: Array) -> int:
    return math.prod(x.shape[:-1] if layer.score_axis == "rows" else x.shape[:1])


def _pairs(layer: GatedParts, x: Array) -> int:
    return _num_rows(layer, x) * layer.num_units
