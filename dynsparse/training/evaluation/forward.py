"""Forward passes in evaluation, compiled once for all equal trainers."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse.budgets import fix_densities, set_density
from dynsparse.gates import GateRecord, evaluating, records
from dynsparse.tasks import Batch
from dynsparse.training.step import State, Trainer, reseed

_NOISE = 2**32 - 1  # folded into the key of a run: no step of training draws from it

Forward = Callable[..., Any]


def compile_forward(
    trainer: Trainer,
    *,
    noise: bool = False,
    densities: Mapping[str, float] = MappingProxyType({}),
    **view: Any,
) -> Forward:
    """Returns a forward pass in evaluation, compiled once for all equal trainers.

    Args:
        trainer: Trainer of the run, which holds the model's structure and the task.
        noise: Whether gates decide as in training.
        densities: Density of each layer, static, for compact execution
            (`budgets.densities_at`).
        **view: Options of `gates.evaluating`, such as `execution="compact"`.

    Returns:
        `forward(state, batch, key, density=None) -> (outputs, decisions by layer)`.
        `key` seeds gates that are random; `density` sets the `Density` variables, which
        masked execution reads, and may change without another compilation.
    """
    asked = _View(noise, tuple(sorted(densities.items())), tuple(sorted(view.items())))

    def call(state: State, batch: Batch, key, density: float | None = None):
        weights = {name: state[name] for name in ("params", "variables")}
        traced = None if density is None else jnp.float32(density)
        return _forward(trainer, asked, weights, dict(batch), key, traced)

    return call


class _View(NamedTuple):
    """Hashable arguments of `compile_forward`."""

    noise: bool
    densities: tuple[tuple[str, float], ...]
    options: tuple[tuple[str, Any], ...]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(trainer: Trainer, asked: _View, weights, batch, key, density):
    view = evaluating(trainer.model(weights), **dict(asked.options))
    model = fix_densities(view, dict(asked.densities))
    if asked.noise:
        model = nnx.view(model, deterministic=False, raise_if_not_found=False)
    reseed(model, key)
    if density is not None:
        set_density(model, density)
    outputs, captured = trainer.task.call(batch)(nnx.capture(model, GateRecord))
    return outputs, records(captured)


def evaluation_key(state: State) -> jax.Array:
    """Key that a pass draws from, once folded with the place of its batch."""
    return jax.random.fold_in(state["key"], _NOISE)
