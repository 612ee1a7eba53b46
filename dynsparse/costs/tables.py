"""Tables of prices: those of many examples from a few traces, exactly."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int


class Table:
    """Table of prices by counts of open units.

    A layer whose units cost the same adds a price per unit, for given counts of the
    other layers. That price comes from two points; a third one, and all layers at their
    largest counts, must confirm it. Where they do not, as for a gate that is skipped
    when all units are open, every combination is priced by itself.

    Args:
        price: Maps one count per layer to MACs.
        equal: Whether the units of each layer cost the same.
    """

    def __init__(
        self, price: Callable[[tuple[int, ...]], int], *, equal: Sequence[bool]
    ):
        self._price = price
        self._equal = np.asarray(equal, bool)

    def __call__(self, counts: Int[np.ndarray, "n layers"]) -> Int[np.ndarray, "n"]:
        """Returns the price of each row of counts."""
        rows, inverse = np.unique(counts, axis=0, return_inverse=True)
        prices = np.empty(len(rows), np.int64)
        context = np.where(self._equal, 0, rows)
        for others in np.unique(context, axis=0):
            own = np.flatnonzero((context == others).all(-1))
            prices[own] = self._in_context(rows[own])
        return prices[inverse.reshape(-1)]

    def _in_context(self, rows: np.ndarray) -> np.ndarray:
        """Returns prices of rows that differ only in layers of equal units."""
        exact = lambda: np.array([self._at(row) for row in rows])
        linear = np.flatnonzero(self._equal & (rows.max(0) > 0)).tolist()
        if len(rows) <= 2 * len(linear) + 2:
            return exact()
        base = np.where(self._equal, 0, rows[0])
        start, slopes = self._at(base), np.zeros(len(base), np.int64)
        for layer in linear:
            seen = np.unique(rows[:, layer]).tolist()
            most, middle = seen[-1], seen[len(seen) // 2]
            slopes[layer], rest = divmod(self._rise(base, layer, most, start), most)
            if rest or self._rise(base, layer, middle, start) != slopes[layer] * middle:
                return exact()
        prices = start + np.where(self._equal, rows, 0) @ slopes
        largest = np.where(self._equal, rows.max(0), base)
        if self._at(largest) != start + np.where(self._equal, largest, 0) @ slopes:
            return exact()
        return prices

    def _rise(self, base: np.ndarray, layer: int, count: int, start: int) -> int:
        row = base.copy()
        row[layer] = count
        return self._at(row) - start

    def _at(self, row: np.ndarray) -> int:
        return self._price(tuple(row.tolist()))
