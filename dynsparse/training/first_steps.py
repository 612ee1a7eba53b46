"""Whether the compiled training step computes the gradient that it should."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

from dynsparse.training.program import Program
from dynsparse.training.step import State

Step = Callable[[State, int], tuple[State, dict[str, jax.Array]]]

CHECKED = 3  # steps that have to differ in a row: a decision on the edge may flip once
_TOLERANCE = 1e-2  # of the largest entry of a parameter's gradient
_FLOOR = 1e-4  # of the largest entry of all: below it a gradient is rounding


class WrongGradientError(FloatingPointError):
    """The compiled step has another gradient than the same step without fusion."""


def difference(found: State, expected: State) -> tuple[float, str]:
    """How far the gradients behind two first steps are apart.

    They are read from the first moments of Adam, which are linear in them.

    Args:
        found: After a step, from the compiled training step.
        expected: After the same step, operation by operation.

    Returns:
        The largest difference of an entry, as a fraction of the largest entry of its
        parameter, and the parameter's path.
    """
    moments = [_moments(state["optimizer"]) for state in (found, expected)]
    largest = max(np.abs(leaf).max() for leaf in moments[1].values() if leaf.size)
    apart = {
        path: float(
            np.abs(moments[0][path] - leaf).max()
            / max(np.abs(leaf).max(), _FLOOR * largest, np.finfo(np.float32).tiny)
        )
        for path, leaf in moments[1].items()
        if leaf.size
    }
    worst = max(apart, key=apart.__getitem__)
    return apart[worst], worst


def checking(program: Program) -> Step:
    """The steps of a program, the first of them computed without fusion too.

    Raises:
        WrongGradientError: By a step, if it and those before it have other gradients
            than they should. What is not finite is left to the loop to name.
    """
    left = CHECKED

    def step(working: State, index: int) -> tuple[State, dict[str, jax.Array]]:
        nonlocal left
        if not left:
            return program.step(working, index)
        expected = program.step_unfused(working, index)
        working, metrics = program.step(working, index)
        apart, path = difference(working, expected)
        left = left - 1 if apart > _TOLERANCE else 0
        if apart > _TOLERANCE and not left:
            raise WrongGradientError(
                f"the compiled gradient of {path} is off by {apart:.0%} of its largest "
                f"entry, {CHECKED} steps in a row: jax {jax.__version__} compiles this "
                f"model and batch wrongly on {jax.default_backend()}. Take another jax "
                f"or batch_size, or XLA_FLAGS=--xla_disable_hlo_passes=fusion (slow); "
                f"train.check_first_step=False goes on all the same."
            )
        return working, metrics

    return step


def _moments(optimizer: Any) -> dict[str, np.ndarray]:
    found = {}
    for _, moments in optax.tree.get_all_with_path(optimizer, "mu"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(moments):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            found[name] = np.asarray(leaf, np.float32)
    return found
