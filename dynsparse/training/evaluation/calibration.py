"""The last step of a constrained training: scores move until the target is met."""

import jax.numpy as jnp
from flax import nnx

from dynsparse.gates import ScoreShift
from dynsparse.training.evaluation.evaluate import audit, compile_forward
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State

_NEAR, _FURTHEST = 16.0, 128.0  # that scores move: as a rule, and at most
_HALVINGS = 16
_CLOSE = 5e-4  # of the dense MACs: close enough to stop


def calibrate(prepared: PreparedRun, state: State) -> State:
    """Brings a constrained training to its target, as `at_target` does.

    A price acts through what the network learns; when the learning rate has come to
    zero nothing is learned, and what is left of the way is this.

    Args:
        prepared: With a `budget_constraint`; without, or where that asks for no
            calibration, nothing happens.
        state: After the last step.
    """
    constraint = prepared.settings.budget_constraint
    if constraint is None or not constraint.calibrate:
        return state
    return at_target(prepared, state, constraint.target, at_most=constraint.at_most)


def at_target(
    prepared: PreparedRun, state: State, target: float, *, at_most: bool = False
) -> State:
    """Moves all scores by one number, so that the validation split spends a target.

    By bisection; gates whose decisions do not depend on where the scores lie stay as
    they are.

    Args:
        prepared: What was trained.
        state: After the last step.
        target: Fraction of the dense MACs.
        at_most: Whether to leave a state that spends less, and never to spend more.

    Returns:
        The state with the `ScoreShift` of every gate of a varying count set; as it was
        where shifts of up to 128 do not lead to both sides of the target.
    """
    forward = compile_forward(prepared.trainer)
    split = prepared.dataset.validation

    def excess(shift: float) -> float:
        moved = shifted(prepared, state, shift)
        _, bill = audit(prepared, moved, split, forward=forward)
        return bill.budget - target

    if at_most and excess(0.0) <= 0:
        return state
    low, high = -_NEAR, _NEAR
    while not excess(low) < 0:
        low *= 2
        if low < -_FURTHEST:
            return state
    while not excess(high) > 0:
        high *= 2
        if high > _FURTHEST:
            return state
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        more = excess(middle)
        if -_CLOSE < more <= (0.0 if at_most else _CLOSE):
            return shifted(prepared, state, middle)
        low, high = (low, middle) if more > 0 else (middle, high)
    nearest = low if at_most else min((low, high), key=lambda s: abs(excess(s)))
    return shifted(prepared, state, nearest)


def shifted(prepared: PreparedRun, state: State, shift: float) -> State:
    """The state with every `ScoreShift` set.

    Args:
        prepared: Holds the model.
        state: What to change.
        shift: Added to all scores, in their units.
    """
    model = prepared.trainer.model(state)
    for _, node in nnx.iter_graph(model):
        if isinstance(node, ScoreShift):
            node[...] = jnp.float32(shift)
    return state | dict(variables=prepared.trainer.variables(model))
