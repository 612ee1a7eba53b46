"""The order in which a split is read."""

import grain
import numpy as np
from jaxtyping import Int, UInt8

from dynsparse.data.base import Split


class Batches:
    """Endless shuffled batches, each a function of the seed and the step alone.

    Every epoch is a new permutation. There is no position to save: the batch of step i
    is `batches[i]`, whatever was read before.

    Args:
        split: What to read.
        batch_size: Examples per batch, at most the size of the split.
        seed: Of the order.

    Raises:
        ValueError: If the split is smaller than a batch.
    """

    def __init__(self, split: Split, *, batch_size: int, seed: int):
        if len(split) < batch_size:
            raise ValueError(
                f"train: batch_size {batch_size} exceeds the {len(split)} training "
                "images."
            )
        self._split = split
        order = grain.MapDataset.range(len(split)).seed(seed).shuffle().repeat()
        self._order = order.batch(batch_size, drop_remainder=True)

    def __getitem__(
        self, step: int
    ) -> tuple[UInt8[np.ndarray, "batch *shape"], Int[np.ndarray, "batch"]]:
        """Returns the images and labels of `step`."""
        chosen = self._order[step]
        return self._split.images[chosen], self._split.labels[chosen]
