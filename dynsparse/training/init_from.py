"""Initial state of a run that starts from the weights of another run."""

import pathlib
from collections.abc import Iterable

import numpy as np
from flax import nnx

from dynsparse.budgets import BudgetShares
from dynsparse.gates import gated_modules
from dynsparse.training.folder.arrays import flatten, unflatten
from dynsparse.training.folder.checkpoint import Checkpoints
from dynsparse.training.step import State

_PARTS = ("params", "variables")  # of a state: weights, and averages of norms
_HOST = "host"  # attribute of a gated layer with the module that it replaced
_OWN = ("gate", "scorer")  # attributes of a gated layer that decide


def start_from(
    workdir: pathlib.Path, state: State, model: nnx.Module
) -> tuple[State, str]:
    """Returns `state` with the weights of another run, and a note of what was taken.

    Weights are matched by their path, where a host counts as its gated layer. Gates,
    scorers and shares may differ: their parameters stay as they are where the other
    run lacks them, and are left out where only the other run has them.

    Args:
        workdir: Folder of the other run, whose newest checkpoint is read.
        state: State before the first step.
        model: Model of `state`.

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
    """Paths of the gates, scorers and shares of a model."""
    layers = ["/".join(map(str, path)) for path in gated_modules(model)]
    shares = [
        "/".join(map(str, path))
        for path, module in nnx.iter_modules(model)
        if isinstance(module, BudgetShares)
    ]
    return shares + [f"{layer}/{part}".lstrip("/") for layer in layers for part in _OWN]


def _stands_in(name: str, paths: Iterable[str]) -> bool:
    """Whether an array of a state is below one of `paths` of its model."""
    _, _, path = name.partition("/")
    return any(path == each or path.startswith(f"{each}/") for each in paths)
