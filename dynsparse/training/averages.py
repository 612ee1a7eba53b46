"""A trained state at one of its densities."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.budgets import has_averages, refit_averages
from dynsparse.training.experiment import Experiment
from dynsparse.training.step import State, to_float

BATCHES = 16  # of the training, that say what norms see


def at_density(experiment: Experiment, state: State, density: float | None) -> State:
    """The state with the running averages of its norms refitted to a density.

    Args:
        experiment: What was trained.
        state: Holds the parameters, and the averages over all densities of a training.
        density: Of the top-k gates together; None where there are none, and the
            averages stay as they are.

    Returns:
        The state itself where nothing changes.
    """
    trainer = experiment.trainer
    model = trainer.model(state)
    if density is None or not has_averages(model):
        return state
    refit_averages(model, density, training_inputs(experiment))
    return state | dict(variables=trainer.variables(model))


def training_inputs(
    experiment: Experiment,
) -> list[Float[Array, "batch *shape"]]:
    """The first batches of the training, as the model sees them."""
    pictures = (experiment.batches[index][0] for index in range(BATCHES))
    return [to_float(jnp.asarray(batch)) for batch in pictures]
