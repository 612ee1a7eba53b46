"""Selective copying: the tokens that are no noise, in their order."""

import numpy as np

from dynsparse.data.base.drawn import draw_splits, some_places
from dynsparse.data.base.splits import Splits


def make(
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
    length: int,
    num_copied: int,
    vocabulary: int,
    seed: int,
) -> Splits:
    """Draws sequences of noise with some tokens among it, to be told at the end.

    Gu and Dao, 2023, arXiv:2312.00752. The last `num_copied` tokens are 0, and ask for
    the copied tokens, one each, in their order. The first half of the other tokens are
    copied, the rest is noise. `relevant` are the copied tokens and the last ones.

    Args:
        num_train: Number of training sequences.
        num_validation: Number of validation sequences.
        num_test: Number of test sequences.
        length: Tokens of a sequence, at least twice `num_copied`.
        num_copied: Tokens that are copied.
        vocabulary: Number of different tokens, at least 4.
        seed: Seed of the sequences.

    Raises:
        ValueError: If a number is out of range.
    """
    if vocabulary < 4 or not 1 <= num_copied <= length // 2:
        raise ValueError(
            f"data: needs num_copied in [1, {length // 2}], half of the length, and a "
            f"vocabulary of at least 4, got {num_copied} and {vocabulary}."
        )

    def draw(rng: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        rows, before = np.arange(number)[:, None], length - num_copied
        token = rng.integers(vocabulary // 2, vocabulary, (number, length), np.int32)
        copied = rng.integers(1, vocabulary // 2, (number, num_copied), np.int32)
        places = some_places(rng, number, before, num_copied)
        token[rows, places], token[:, before:] = copied, 0
        target = np.full((number, length), -1, np.int32)
        target[:, before:] = copied
        relevant = np.arange(length)[None].repeat(number, 0) >= before
        relevant[rows, places] = True
        return dict(token=token, target=target, relevant=relevant)

    return draw_splits(
        draw,
        num_train=num_train,
        num_validation=num_validation,
        num_test=num_test,
        seed=seed,
        vocabulary=vocabulary,
    )
