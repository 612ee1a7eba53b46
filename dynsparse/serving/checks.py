"""Checks of what a ladder of compiled budgets is made from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, PyTree

from dynsparse._internal.call import Call, call

Labelled = tuple[PyTree, Int[np.ndarray, "m"]]  # examples, and the class of each


def check(
    examples: Call,
    budgets: Sequence[float],
    batch_sizes: Sequence[int],
    labelled: Labelled | None,
    least_density: float,
    repeats: int,
):
    """Refuses arguments that `Ladder.compile` cannot work with.

    Raises:
        ValueError: If a value is out of range.
    """
    whole = lambda value: isinstance(value, int | np.integer) and value >= 1
    if not budgets or not batch_sizes or not all(map(whole, batch_sizes)):
        raise ValueError(
            "a ladder needs at least one budget and batch sizes that are whole numbers "
            f"of at least 1, got budgets={tuple(budgets)}, "
            f"batch_sizes={tuple(batch_sizes)}."
        )
    held = dict(examples=examples)
    if labelled is not None:
        held["labelled"] = call(labelled[0])
        number, classes = held["labelled"].num_examples, len(labelled[1])
        if number != classes:
            raise ValueError(f"labelled has {number} examples and {classes} classes.")
    for name, asked in held.items():
        if not asked.num_examples:
            raise ValueError(f"{name} must hold at least one, got {asked}.")
    if not 0 <= least_density <= 1:
        raise ValueError(f"least_density must be in [0, 1], got {least_density}.")
    if not whole(repeats):
        raise ValueError(f"repeats must be at least 1, got {repeats}.")
