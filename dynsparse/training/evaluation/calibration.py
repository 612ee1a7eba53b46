"""Post-training calibration: a shift of all scores, to spend what was asked."""

from collections.abc import Callable

import jax.numpy as jnp
from flax import nnx

from dynsparse.gates import ScoreShift
from dynsparse.training.evaluation.evaluate import audit
from dynsparse.training.evaluation.forward import compile_forward
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State


def calibrate(prepared: PreparedRun, state: State) -> State:
    """Ends a training as its budget says: by a shift of all scores, or not at all.

    A price acts through what the network learns; when the learning rate has come to
    zero nothing is learned, and what is left of the way is this.

    Args:
        prepared: What was trained.
        state: After the last step.

    Returns:
        The state with the `ScoreShift` of every gate of a varying count set, or as it
        was.
    """
    shift = prepared.settings.budget.finish(validation_cost(prepared, state))
    return state if shift is None else shifted(prepared, state, shift)


def validation_cost(prepared: PreparedRun, state: State) -> Callable[[float], float]:
    """What the validation split spends at a shift of all scores.

    Args:
        prepared: What was trained.
        state: Holds the parameters.

    Returns:
        A function from the shift to a fraction of the dense MACs.
    """
    forward = compile_forward(prepared.trainer)
    split = prepared.task.validation

    def spends(shift: float) -> float:
        moved = shifted(prepared, state, shift)
        return audit(prepared, moved, split, forward=forward)[1].budget

    return spends


def shifted(prepared: PreparedRun, state: State, shift: float) -> State:
    """The state with every `ScoreShift` set.

    Args:
        prepared: Holds the model.
        state: What to change.
        shift: Added to all scores, in their units.
    """
    model = prepared.trainer.model(state)
    for node in _shifts(model):
        node[...] = jnp.float32(shift)
    return state | dict(variables=prepared.trainer.variables(model))


def is_shifted(prepared: PreparedRun, state: State) -> bool:
    """Whether scores were moved after the last step."""
    return any(node[...].any() for node in _shifts(prepared.trainer.model(state)))


def _shifts(model: nnx.Module) -> list[ScoreShift]:
    return [node for _, node in nnx.iter_graph(model) if isinstance(node, ScoreShift)]
