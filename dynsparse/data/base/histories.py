"""What each user did, in order: a history, and what came next."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from dynsparse.data.base.sources import Batch, Record


class Histories:
    """Examples that are users: `history`, `valid` and `target`.

    The target is one of the last items of a user; the history is what came before it,
    the latest `max_length` of it, from the start of an array that is filled up with
    `padding`.

    Args:
        items: Items of all users, one user after the other.
        ends: Where the items of each user end in `items`.
        starts: Where they start.
        held_out: Items after the target, which are not seen, >= 0.
        max_length: Length of a history.
        padding: What stands behind a history that is shorter.
    """

    def __init__(
        self,
        items: Int[np.ndarray, "n"],
        starts: Int[np.ndarray, "users"],
        ends: Int[np.ndarray, "users"],
        *,
        held_out: int,
        max_length: int,
        padding: int,
    ):
        self._items = items
        self._targets = ends - 1 - held_out
        self._starts = np.maximum(starts, self._targets - max_length)
        self._offsets, self._padding = np.arange(max_length), padding

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> Record:
        return {name: rows[0] for name, rows in self.read_batch([int(index)]).items()}

    def read_batch(self, indices: Sequence[int] | Int[np.ndarray, "m"]) -> Batch:
        """Returns the histories of some users.

        Args:
            indices: Their numbers, in [0, len(self)).
        """
        targets = self._targets[np.asarray(indices)][:, None]
        places = self._starts[np.asarray(indices)][:, None] + self._offsets
        valid = places < targets
        history = self._items[np.minimum(places, targets)]
        return dict(
            history=np.where(valid, history, self._padding).astype(np.int32),
            valid=valid,
            target=self._items[targets[:, 0]].astype(np.int32),
        )
