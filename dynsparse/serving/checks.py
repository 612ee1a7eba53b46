"""Checks of what a ladder of compiled budgets is made from."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import PyTree

from dynsparse._internal.call import Call, call

# Held-out inputs, and what makes a score in [0, 1] of the outputs for them.
HeldOut = tuple[PyTree, Callable[[PyTree], float]]


def check(
    examples: Call,
    budgets: Sequence[float],
    batch_sizes: Sequence[int],
    held_out: HeldOut | None,
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
    if held_out is not None:
        held["held_out"] = call(held_out[0])
    for name, asked in held.items():
        if not asked.num_examples:
            raise ValueError(f"{name} must hold at least one, got {asked}.")
    if not 0 <= least_density <= 1:
        raise ValueError(f"least_density must be in [0, 1], got {least_density}.")
    if not whole(repeats):
        raise ValueError(f"repeats must be at least 1, got {repeats}.")
