"""Multi-query associative recall: values of keys that were seen before, amid filler."""

import numpy as np

from dynsparse.data.base.drawn import draw_splits, some_places
from dynsparse.data.base.splits import Splits


def make(
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
    length: int,
    num_pairs: int,
    vocabulary: int,
    seed: int,
) -> Splits:
    """Draws sequences of keys with their values, followed by queries.

    Arora et al., 2023, arXiv:2312.04927, with filler between. The first half of a
    sequence holds pairs of a key and, behind it, its value, at random places; the
    second half each key once more, at a random place, where its value is to be told.
    The first quarter of the vocabulary are keys, the second one values, the rest is
    filler. `relevant` are the pairs and the queries.

    Args:
        num_train: Number of training sequences.
        num_validation: Number of validation sequences.
        num_test: Number of test sequences.
        length: Tokens of a sequence.
        num_pairs: Pairs of a sequence, and queries.
        vocabulary: Number of different tokens, at least 4 times `num_pairs`.
        seed: Seed of the sequences.

    Raises:
        ValueError: If a number is out of range.
    """
    kinds = vocabulary // 4
    if not 1 <= num_pairs <= min(length // 4, kinds):
        raise ValueError(
            f"data: num_pairs must be in [1, {min(length // 4, kinds)}] for length "
            f"{length} and vocabulary {vocabulary}, got {num_pairs}."
        )

    def draw(rng: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        rows, half = np.arange(number)[:, None], length // 2
        token = rng.integers(2 * kinds, vocabulary, (number, length), np.int32)
        keys = rng.random((number, kinds)).argsort(1)[:, :num_pairs]
        values = rng.integers(kinds, 2 * kinds, (number, num_pairs))
        pairs = 2 * some_places(rng, number, half // 2, num_pairs)
        queries = half + some_places(rng, number, length - half, num_pairs)
        order = rng.random((number, num_pairs)).argsort(1)
        token[rows, pairs], token[rows, pairs + 1] = keys, values
        token[rows, queries] = np.take_along_axis(keys, order, 1)
        target = np.full((number, length), -1, np.int32)
        target[rows, queries] = np.take_along_axis(values, order, 1)
        relevant = np.zeros((number, length), bool)
        for places in (pairs, pairs + 1, queries):
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
