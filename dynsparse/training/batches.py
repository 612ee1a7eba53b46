"""Shuffled batches of the training images."""

import functools

import grain
import numpy as np
from jaxtyping import Int, UInt8

from dynsparse.data import Dataset


class Batches:
    """Endless shuffled batches, each a function of the seed and the step alone.

    Every epoch is a new permutation. There is no position to save: the batch of step i
    is `batches[i]`, whatever was read before.

    Args:
        dataset: Task whose training images are read; not before the first batch is.
        batch_size: Examples per batch, at most the number of training images.
        seed: Seed of the order.
    """

    def __init__(self, dataset: Dataset, *, batch_size: int, seed: int):
        self._dataset = dataset
        self._batch_size, self._seed = batch_size, seed

    @functools.cached_property
    def _order(self):
        indices = grain.MapDataset.range(len(self._dataset.train))
        order = indices.seed(self._seed).shuffle().repeat()
        return order.batch(self._batch_size, drop_remainder=True)

    def __getitem__(
        self, step: int
    ) -> tuple[UInt8[np.ndarray, "batch *shape"], Int[np.ndarray, "batch"]]:
        """Returns the images and labels of `step`."""
        chosen = self._order[step]
        split = self._dataset.train
        return split.images[chosen], split.labels[chosen]
