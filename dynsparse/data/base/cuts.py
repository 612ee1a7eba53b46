"""Validation and test parts that are cut from what a data set has."""

from typing import Any

import numpy as np
from jaxtyping import Int
from sklearn.model_selection import train_test_split

Numbers = Int[np.ndarray, "_"]  # of examples


def check_fractions(**fractions: float):
    """Refuses shares of a data set that leave nothing of a part.

    Args:
        **fractions: By key; each in (0, 1), and together below 1.

    Raises:
        ValueError: With the key, what is accepted and the value.
    """
    for key, fraction in fractions.items():
        if not 0 < fraction < 1:
            raise ValueError(f"data: {key} must be in (0, 1), got {fraction}.")
    if sum(fractions.values()) >= 1:
        told = " and ".join(f"{key} {value}" for key, value in fractions.items())
        raise ValueError(f"data: nothing is left to train on by {told}.")


def cut_by_label(
    path: Any, labels: Int[np.ndarray, "n"], fraction: float, seed: int
) -> tuple[Numbers, Numbers]:
    """Returns the numbers of examples to train on, and to validate on.

    The share of each label is the same in both.

    Args:
        path: Names the data set in errors.
        labels: Of the examples.
        fraction: Share that is validated on, in (0, 1).
        seed: Seed of the choice.

    Raises:
        ValueError: If a label has too few examples.
    """
    try:
        first, second = train_test_split(
            np.arange(len(labels)),
            test_size=fraction,
            stratify=labels,
            random_state=seed,
        )
    except ValueError as error:
        raise ValueError(f"{path}: cannot cut a validation split: {error}") from error
    return np.asarray(first), np.asarray(second)


def cut_at_random(
    path: Any, number: int, fractions: tuple[float, float], seed: int
) -> tuple[Numbers, Numbers, Numbers]:
    """Returns the numbers of examples to train on, to validate on, and to test on.

    Args:
        path: Names the data set in errors.
        number: Of examples.
        fractions: Shares that are validated on and tested on.
        seed: Seed of the order that they are cut from.

    Raises:
        ValueError: If nothing is left of a part.
    """
    order = np.random.default_rng(seed).permutation(number)
    first, second = positions(path, number, fractions)
    return order[:first], order[first:second], order[second:]


def positions(
    path: Any, number: int, fractions: tuple[float, float]
) -> tuple[int, int]:
    """Returns where the validation part begins, and the test part behind it.

    Args:
        path: Names the data set in errors.
        number: Of examples, in order.
        fractions: Shares that are validated on and tested on, rounded to the nearest.

    Raises:
        ValueError: If nothing is left of a part.
    """
    validation, test = (round(number * fraction) for fraction in fractions)
    first, second = number - validation - test, number - test
    if not 0 < first < second < number:
        raise ValueError(
            f"{path}: {number} examples are too few to cut {fractions[0]} for "
            f"validation and {fractions[1]} for test."
        )
    return first, second
