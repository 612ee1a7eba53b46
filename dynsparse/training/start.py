"""The first state of a run that starts from the weights of another."""

import pathlib
from collections.abc import Iterable

import numpy as np
from flax import nnx

from dynsparse.budgets import BudgetShares
from dynsparse.gates import gated_modules
from dynsparse.training.checkpoint import CheckpointError, Checkpoints
from dynsparse.training.flat_state import flatten, unflatten
from dynsparse.training.step import State

_PARTS = ("params", "variables")  # of a state: weights, and averages of norms
_HOST = "host"  # where a gated layer keeps what stood there before
_OWN = ("gate", "scorer")  # where it keeps what decides


def has_checkpoint(workdir: pathlib.Path) -> bool:
    """Whether a run would go on from a checkpoint.

    Args:
        workdir: Its folder.
    """
    try:
        with Checkpoints(workdir / "checkpoints") as checkpoints:
            return checkpoints.latest is not None
    except (CheckpointError, OSError):  # such as a name that is too long
        return False


def start_from(
    workdir: pathlib.Path, state: State, model: nnx.Module
) -> tuple[State, str]:
    """Returns `state` with the weights of another run, and says what was taken.

    Weights fit by their path, in which a host stands in the place of its gated layer.
    What decides may differ: parameters of gates, scorers and shares that the other run
    lacks stay as they are, and those that it alone has are left there.

    Args:
        workdir: Folder of the other run, whose newest checkpoint is read.
        state: Before the first step.
        model: Whose state it is.

    Raises:
        ValueError: If there is no checkpoint, or names or shapes do not fit.
    """
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        there = {_bare(name): array for name, array in checkpoints.arrays().items()}
    here = flatten(state)
    deciding = _deciding(model)
    asked = [name for name in here if name.startswith(_PARTS)]
    own = {name for name in asked if _stands_in(name, deciding)}
    taken: dict[str, np.ndarray] = {}
    wrong: list[str] = []
    for name in asked:
        found, wanted = there.get(_bare(name)), here[name]
        if name in own and (found is None or name.startswith("variables")):
            continue  # what a config says of a gate is no weight
        if found is None or found.shape != wanted.shape:
            shape = None if found is None else found.shape
            wrong.append(f"{name} has shape {shape} there, {wanted.shape} here")
        else:
            taken[name] = found.astype(wanted.dtype)
    known = {_bare(name) for name in asked}
    for name, found in there.items():
        left = name in known or {*_OWN} & {*name.split("/")}
        if name.startswith("params") and not left:
            wrong.append(f"{name} has shape {found.shape} there, None here")
    if wrong:
        more = f", and {len(wrong) - 1} more do not fit" if len(wrong) > 1 else ""
        raise ValueError(f"train.init_from: {workdir}: {wrong[0]}{more}.")
    new = sum(name.startswith("params") for name in own - taken.keys())
    said = f"train: {len(taken)} arrays are those of {workdir}"
    if new:
        said += f"; {new}, of what decides, are new"
    return unflatten(state, here | taken), said


def _bare(name: str) -> str:
    return "/".join(part for part in name.split("/") if part != _HOST)


def _deciding(model: nnx.Module) -> list[str]:
    """The paths of the gates, scorers and shares of a model."""
    layers = ["/".join(map(str, path)) for path in gated_modules(model)]
    shares = [
        "/".join(map(str, path))
        for path, module in nnx.iter_modules(model)
        if isinstance(module, BudgetShares)
    ]
    return shares + [f"{layer}/{part}".lstrip("/") for layer in layers for part in _OWN]


def _stands_in(name: str, paths: Iterable[str]) -> bool:
    """Whether an array of a state is below one of some paths of its model."""
    _, _, path = name.partition("/")
    return any(path == each or path.startswith(f"{each}/") for each in paths)
