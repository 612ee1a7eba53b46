"""Parity: whether the number of ones is odd."""

import numpy as np

from dynsparse.data.base.drawn import draw_splits
from dynsparse.data.base.splits import Splits


def make(
    *, num_train: int, num_validation: int, num_test: int, length: int, seed: int
) -> Splits:
    """Draws sequences of zeros and ones; at the last token their parity is to be told.

    Every token matters. A model has to think as long as the sequence is: the task is
    for gates that decide how deep (Graves, 2016, arXiv:1603.08983).

    Args:
        num_train: Number of training sequences.
        num_validation: Number of validation sequences.
        num_test: Number of test sequences.
        length: Tokens of a sequence, at least 1.
        seed: Seed of the sequences.

    Raises:
        ValueError: If a number is out of range.
    """
    if length < 1:
        raise ValueError(f"data: length must be at least 1, got {length}.")

    def draw(rng: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        token = rng.integers(0, 2, (number, length), np.int32)
        target = np.full((number, length), -1, np.int32)
        target[:, -1] = token.sum(1) % 2
        return dict(token=token, target=target)

    return draw_splits(
        draw,
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        seed=seed,
        vocabulary=2,
    )
