"""Checks of what a ladder of compiled budgets is made from, and of its requests."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Int, Shaped

Batch = Shaped[Array, "n *shape"] | Shaped[np.ndarray, "n *shape"]
Inputs = Shaped[Array, "..."] | Shaped[np.ndarray, "..."]  # of any number
Labelled = tuple[Inputs, Int[np.ndarray, "m"]]  # examples, and the class of each


def checked(x: Batch, example: jax.ShapeDtypeStruct | None) -> np.ndarray:
    """Returns `x` as an array in native byte order.

    Args:
        x: At least one example.
        example: Shape and type of one example; None to accept any.

    Raises:
        ValueError: If there is no example, or its shape or type is another.
    """
    try:
        found = np.asarray(x)
    except Exception as error:  # whatever it is, numpy cannot make an array of it
        raise ValueError(f"examples are no array: {error}.") from error
    if not found.ndim or not len(found):
        raise ValueError(
            f"a pass needs at least one example, got an array of shape {found.shape}."
        )
    if example is None:
        return found
    native = found.astype(found.dtype.newbyteorder("="), copy=False)
    if native.shape[1:] != example.shape or native.dtype != example.dtype:
        raise ValueError(
            f"examples must be {example.dtype} of shape {example.shape}, got "
            f"{native.dtype} of shape {native.shape[1:]}."
        )
    return native


def check(
    examples: Batch,
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
    for name, x in (("examples", examples), ("labelled", labelled and labelled[0])):
        if x is not None and (not np.ndim(x) or not len(x)):
            raise ValueError(f"{name} must hold at least one, got shape {np.shape(x)}.")
    if labelled is not None and len(labelled[0]) != len(labelled[1]):
        raise ValueError(
            f"labelled has {len(labelled[0])} examples and {len(labelled[1])} classes."
        )
    if not 0 <= least_density <= 1:
        raise ValueError(f"least_density must be in [0, 1], got {least_density}.")
    if not whole(repeats):
        raise ValueError(f"repeats must be at least 1, got {repeats}.")
