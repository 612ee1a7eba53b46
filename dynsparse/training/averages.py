"""A trained state at one of its densities."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.budgets import averages_at
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State

BATCHES = 16  # of the training, that say what norms see


def at_densities(
    prepared: PreparedRun, state: State, densities: Sequence[float | None]
) -> dict[float | None, State]:
    """The state with the running averages of its norms at each of some densities.

    Args:
        prepared: What was trained.
        state: Holds the parameters, and the averages over all densities of a training.
        densities: Of the top-k gates together; at None, where there are none, the
            averages stay as they are.
    """
    trainer = prepared.trainer
    if not nnx.state(trainer.model(state), nnx.BatchStat):
        return dict.fromkeys(densities, state)
    inputs, states = training_inputs(prepared), {}
    for density in densities:
        model = trainer.model(state)
        if density is not None:
            nnx.update(model, averages_at(model, density, inputs))
        states[density] = state | dict(variables=trainer.variables(model))
    return states


def training_inputs(prepared: PreparedRun) -> list[Float[Array, "batch *shape"]]:
    """The first batches of the training, as the model sees them."""
    images = (prepared.batches[index][0] for index in range(BATCHES))
    return [prepared.dataset.inputs(jnp.asarray(batch)) for batch in images]
