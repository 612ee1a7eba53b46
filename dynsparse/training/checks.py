"""Checks of training steps: right gradients, and finite numbers.

XLA has compiled wrong gradients for some models. The first steps of a run are compared
with the same steps compiled without fusion, which show it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import optax

from dynsparse.training.program import Program
from dynsparse.training.step import State

Step = Callable[[State, int], tuple[State, dict[str, jax.Array]]]

CHECKED = 3  # steps that have to differ in a row: a decision on the edge may flip once
_TOLERANCE = 1e-2  # of the largest entry of a parameter's gradient
_FLOOR = 1e-4  # of the largest entry of all gradients: less is rounding
_FINITE = dict(loss="loss", gradient_norm="gradient's norm")


class WrongGradientError(FloatingPointError):
    """The compiled step and the same step without fusion have different gradients."""


def difference(found: State, expected: State) -> tuple[float, str]:
    """Returns how far the gradients of two steps are apart.

    Gradients are read from the first moments of Adam, which are linear in them.

    Args:
        found: State after the compiled step.
        expected: State after the same step, operation by operation.

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
    """Returns the step of a program, which checks its first calls.

    A step raises a `WrongGradientError` if its gradient and those of the steps before
    it are wrong. Numbers that are not finite are left to the loop to name.

    Args:
        program: Program whose step is checked.
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


def require_finite(seen: Mapping[int, Mapping[str, jax.Array]], names: Sequence[str]):
    """Waits for metrics, and refuses a loss or gradient that is not finite.

    Args:
        seen: Metrics of each step, [runs] for several runs.
        names: Prefix of the message for each run.

    Raises:
        FloatingPointError: With the run and the step.
    """
    for step, metrics in seen.items():
        for metric, words in _FINITE.items():
            values = np.atleast_1d(metrics[metric]).tolist()
            for name, value in zip(names, values, strict=True):
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"{name}the {words} is {value} at step {step}"
                    )


def _moments(optimizer: Any) -> dict[str, np.ndarray]:
    found = {}
    for _, moments in optax.tree.get_all_with_path(optimizer, "mu"):
        for path, leaf in jax.tree_util.tree_leaves_with_path(moments):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            found[name] = np.asarray(leaf, np.float32)
    return found
