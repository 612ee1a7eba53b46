"""Re-estimates running averages of norms at one density; training mixes them all."""

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import PyTree

from dynsparse._internal.call import Call, call
from dynsparse._internal.structure import Structure
from dynsparse.budgets.densities import set_density
from dynsparse.gates import evaluating


def averages_at(model: nnx.Module, density: float, batches: Iterable[PyTree]) -> Any:
    """Returns the running averages of a model's norms at one density.

    Training moves them at every density that it draws, the last most of all; what a
    norm reads differs from density to density. These are the means over the batches of
    what each norm sees in masked execution, with the decisions of evaluation (Yu and
    Huang, 2019, arXiv:1903.05134, who do it for widths).

    >>> norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    >>> found = budgets.averages_at(norm, 0.5, [jnp.array([[0.0, 2.0], [2.0, 4.0]])])
    >>> found["mean"][...].tolist()
    [1.0, 3.0]

    Args:
        model: With top-k gates, as it trains: norms that answer by their running
            averages in training, too, keep them.
        density: Of the gates together, in [0, 1].
        batches: Inputs of the training, at least one: arrays, or a `dynsparse.call`
            each where the model takes more than one.

    Returns:
        The state of every `nnx.BatchStat` of the model, for `nnx.update`; without
        norms it is empty.

    Raises:
        ValueError: If there are no batches.
    """
    moving = {path for path, norm in _norms(model) if not norm.use_running_average}
    if not moving:
        return nnx.state(model, nnx.BatchStat)
    seeing = evaluating(nnx.clone(model), execution="masked")
    for path, norm in _norms(seeing):
        if path in moving:
            norm.use_running_average = False
            norm.momentum = 0.0  # what it has seen last
    set_density(seeing, jnp.float32(density))
    structure, averages, others = Structure.split(seeing, nnx.BatchStat, ...)
    found = [_see(structure, averages, others, call(batch)) for batch in batches]
    if not found:
        raise ValueError("averages_at needs at least one batch, got none.")
    return jax.tree.map(lambda *seen: jnp.stack(seen).mean(0), *found)


@functools.partial(jax.jit, static_argnums=0)
def _see(structure: Structure, averages, others, asked: Call):
    """The averages that the norms of a model take from a batch."""
    model = structure.merge(averages, others)
    asked(model)
    return nnx.state(model, nnx.BatchStat)


def _norms(model: nnx.Module) -> list[tuple[tuple, nnx.BatchNorm]]:
    return [
        (tuple(path), module)
        for path, module in nnx.iter_modules(model)
        if isinstance(module, nnx.BatchNorm)
    ]
