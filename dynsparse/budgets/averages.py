"""The running averages of norms at one density, which training mixes with others."""

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Shaped

from dynsparse.budgets.densities import set_density
from dynsparse.gates.base import evaluating


def has_averages(model: nnx.Module) -> bool:
    """Whether a norm of the model answers by running averages."""
    return any(_norms(model))


def refit_averages(
    model: nnx.Module, level: float, batches: Iterable[Shaped[Array, "batch *shape"]]
):
    """Sets the running averages of a model's norms to those at one density, in place.

    Training moves them at every density that it draws, the last most of all; what a
    norm reads differs from density to density. They become the mean over the batches
    of what each norm sees in masked execution, with the decisions of evaluation (Yu and
    Huang, 2019, arXiv:1903.05134, who do it for widths). Nothing else changes.

    Args:
        model: With top-k gates; one without a BatchNorm stays as it is.
        level: Density of the gates together, in [0, 1].
        batches: Inputs of the training, at least one.

    Raises:
        ValueError: If there are no batches.
    """
    if not has_averages(model):
        return
    seeing = evaluating(nnx.clone(model), execution="masked")
    seeing = nnx.view(seeing, use_running_average=False)
    for norm in _norms(seeing):
        norm.momentum = 0.0  # what it has seen last
    set_density(seeing, jnp.float32(level))
    graphdef, averages, others = nnx.split(seeing, nnx.BatchStat, ...)
    found = [_look(graphdef, averages, others, batch) for batch in batches]
    if not found:
        raise ValueError("refit_averages needs at least one batch, got none.")
    nnx.update(model, jax.tree.map(lambda *seen: jnp.stack(seen).mean(0), *found))


@functools.partial(jax.jit, static_argnums=0)
def _look(graphdef, averages, others, batch):
    """What the norms of a model see of a batch."""
    model = nnx.merge(graphdef, averages, others)
    model(batch)
    return nnx.state(model, nnx.BatchStat)


def _norms(model: nnx.Module) -> list[nnx.BatchNorm]:
    modules = (module for _, module in nnx.iter_modules(model))
    return [module for module in modules if isinstance(module, nnx.BatchNorm)]
