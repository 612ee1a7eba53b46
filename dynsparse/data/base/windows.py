"""Windows over one long array of tokens, in memory or memory-mapped."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Integer

from dynsparse.data.base.sources import Batch, Record


class Windows:
    """Examples that are windows of one long array: `token`, int32 [length + 1].

    The first `length` are what a model reads, and the last `length` what it is to say.
    Only the windows that are asked for are read.

    Args:
        tokens: The array, from 0; any integers.
        length: Tokens that a model reads, >= 1.
        stride: Tokens from the start of a window to that of the next, >= 1. At
            `length` each token but the first is predicted once, but for fewer than
            `length` at the end; at 1 every place starts a window.
        vocabulary: Tokens are below it; checked as they are read.
        where: Names the array in errors.

    Raises:
        ValueError: If there are too few tokens for a window.
    """

    def __init__(
        self,
        tokens: Integer[np.ndarray, "n"],
        *,
        length: int,
        stride: int,
        vocabulary: int,
        where: str,
    ):
        if len(tokens) <= length:
            raise ValueError(
                f"{where} has {len(tokens)} tokens; a window of length {length} needs "
                f"{length + 1}."
            )
        self._tokens = tokens
        self._starts = range(0, len(tokens) - length, stride)
        self._offsets = np.arange(length + 1)
        self._vocabulary, self._where = vocabulary, where

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Record:
        return {name: rows[0] for name, rows in self.read_batch([int(index)]).items()}

    def read_batch(self, indices: Sequence[int] | Int[np.ndarray, "m"]) -> Batch:
        """Returns some windows.

        Args:
            indices: Their numbers, in [0, len(self)).

        Raises:
            ValueError: If a token is not in the vocabulary; the message has its place.
        """
        starts = np.array([self._starts[index] for index in indices], np.int64)
        places = starts[:, None] + self._offsets
        window = np.asarray(self._tokens[places])
        outside = (window < 0) | (window >= self._vocabulary)
        if outside.any():
            raise ValueError(
                f"{self._where}: tokens must be in [0, {self._vocabulary - 1}], got "
                f"{window[outside][0]} at place {places[outside][0]}."
            )
        return dict(token=window.astype(np.int32))
