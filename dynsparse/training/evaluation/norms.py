"""Running averages of BatchNorm at the densities of an evaluation."""

from collections.abc import Sequence

import jax
from flax import nnx

from dynsparse._internal.call import Call
from dynsparse.budgets import averages_at
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State

_BATCHES = 16  # training batches from which norms are estimated at a density


def at_densities(
    prepared: PreparedRun, state: State, densities: Sequence[float | None]
) -> dict[float | None, State]:
    """Re-estimates the running averages of BatchNorm at each of some densities.

    Args:
        prepared: Run of the state.
        state: State with the parameters, and with averages over all densities of the
            training.
        densities: Densities of the top-k gates together, in [0, 1]; None, for models
            without top-k gates, leaves the averages as they are.

    Returns:
        A state for each density: `state` itself for models without BatchNorm.
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


def training_inputs(prepared: PreparedRun) -> list[Call]:
    """First batches of the training, as the model is called with them.

    >>> from dynsparse.configs import cluttered_digits
    >>> config = cluttered_digits.get_config("soft_topk")
    >>> config.data.num_train = config.data.num_validation = config.data.num_test = 64
    >>> inputs = training.training_inputs(training.prepare(config.to_dict()))
    >>> len(inputs), inputs[0]
    (16, call(float32[64, 28, 28, 1]))

    Args:
        prepared: Run from `prepare`.
    """
    batches = (jax.device_put(prepared.batches[index]) for index in range(_BATCHES))
    return [prepared.task.call(batch) for batch in batches]
