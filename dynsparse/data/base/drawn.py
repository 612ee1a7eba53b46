"""Splits of a data set that is drawn."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dynsparse.data.base.sources import Arrays
from dynsparse.data.base.splits import Splits


def draw_splits(
    draw: Callable[[np.random.Generator, int], Mapping[str, np.ndarray]],
    *,
    num_train: int,
    num_validation: int,
    num_test: int,
    seed: int,
    **facts: Any,
) -> Splits:
    """Returns splits that `draw(rng, number) -> arrays` draws.

    Args:
        draw: Draws the arrays of so many examples.
        num_train: Number of training examples.
        num_validation: Number of validation examples.
        num_test: Number of test examples.
        seed: Seed; each split draws from a stream of its own.
        **facts: Facts of the splits.

    Raises:
        ValueError: If a number is below 1.
    """
    numbers = dict(num_train=num_train, num_validation=num_validation)
    numbers["num_test"] = num_test
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"data: {name} must be at least 1, got {number}.")
    train, validation, test = (
        Arrays(draw(np.random.default_rng((seed, stream)), number))
        for stream, number in enumerate(numbers.values())
    )
    return Splits(train=train, validation=validation, test=test, facts=facts)


def some_places(
    rng: np.random.Generator, number: int, places: int, chosen: int
) -> np.ndarray:
    """Returns different places of each example, in rising order, [number, chosen].

    Args:
        rng: Generator.
        number: Examples.
        places: Places to choose from, from 0.
        chosen: Places of each example, at most `places`.
    """
    order = rng.random((number, places)).argsort(1)[:, :chosen]
    return np.sort(order, 1)
