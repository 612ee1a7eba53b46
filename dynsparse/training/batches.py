"""Shuffled batches of the training examples."""

import functools
from typing import Any

import grain

from dynsparse.data import Source, read_batch
from dynsparse.data.base.sources import Batch


class Batches:
    """Endless shuffled batches, each a function of the seed and the step alone.

    Every epoch is a new permutation. There is no position to save: the batch of step i
    is `batches[i]`, whatever was read before.

    Args:
        source: Training examples; not read before the first batch is.
        batch_size: Examples per batch, at most their number.
        seed: Seed of the order.
    """

    def __init__(self, source: Source, *, batch_size: int, seed: int):
        self._source = source
        self._batch_size, self._seed = batch_size, seed

    @functools.cached_property
    def _order(self):
        indices = grain.MapDataset.range(len(self._source))
        order = indices.seed(self._seed).shuffle().repeat()
        return order.batch(self._batch_size, drop_remainder=True)

    def __getitem__(self, step: int) -> Batch:
        """Returns the examples of `step`."""
        order: Any = self._order
        return read_batch(self._source, order[step])
