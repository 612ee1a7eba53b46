"""A needle: one marked token amid filler, to be told at the end."""

import numpy as np

from dynsparse.data.base.drawn import draw_splits
from dynsparse.data.base.splits import Splits


def make(
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
    length: int,
    vocabulary: int,
    seed: int,
) -> Splits:
    """Draws sequences of filler that hold a marker and, behind it, a value.

    The last token is the marker once more, where the value is to be told. Token 0 is
    the marker, the first half of the other tokens are values, the rest is filler.
    `relevant` are the marker, the value and the last token.

    Args:
        num_train: Number of training sequences.
        num_validation: Number of validation sequences.
        num_test: Number of test sequences.
        length: Tokens of a sequence, at least 4.
        vocabulary: Number of different tokens, at least 4.
        seed: Seed of the sequences.

    Raises:
        ValueError: If a number is out of range.
    """
    for name, value in (("length", length), ("vocabulary", vocabulary)):
        if value < 4:
            raise ValueError(f"data: {name} must be at least 4, got {value}.")

    def draw(rng: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        rows = np.arange(number)
        token = rng.integers(vocabulary // 2, vocabulary, (number, length), np.int32)
        value = rng.integers(1, vocabulary // 2, number, np.int32)
        place = rng.integers(0, length - 2, number)
        token[rows, place], token[rows, place + 1] = 0, value
        token[:, -1] = 0
        target = np.full((number, length), -1, np.int32)
        target[:, -1] = value
        relevant = np.zeros((number, length), bool)
        relevant[rows, place] = relevant[rows, place + 1] = relevant[:, -1] = True
        return dict(token=token, target=target, relevant=relevant)

    return draw_splits(
        draw,
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        seed=seed,
        vocabulary=vocabulary,
    )
