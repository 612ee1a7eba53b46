"""Validation during training: accuracy, and the health of the gates."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from dynsparse.training.evaluation.calibration import is_shifted, shifted
from dynsparse.training.evaluation.diagnostics import (
    diagnose,
    gap_warnings,
    gate_warnings,
    has_choice,
)
from dynsparse.training.evaluation.evaluate import (
    Evaluation,
    at_densities,
    compile_forward,
    evaluate,
)
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Validated:
    """Outcome of one validation; its text is a line for people.

    Attributes:
        scalars: `accuracy` and `loss` at the density nearest to a half, or as trained
            for gates without a density; the health of each gate there. After the last
            step also the accuracy at each density, and the soft-to-hard gap: accuracy
            with the noise and soft masks of training minus that of evaluation.
        warnings: Warnings about the gates, in words.
        open_probs: `open_prob` of each gate there, by its path.
    """

    scalars: dict[str, float]
    warnings: list[str]
    open_probs: dict[str, Float[np.ndarray, "n *rows units"]]

    def __str__(self) -> str:
        by_density = [name for name in self.scalars if name.startswith("accuracy_at")]
        names = by_density or ["accuracy"]
        words = [f"{name} {self.scalars[name]:.4f}" for name in names]
        return "\n  warning: ".join(["  ".join(words), *self.warnings])


def validate(
    prepared: PreparedRun, state: State, *, everything: bool = True
) -> Validated:
    """Evaluates a state on the validation split, in masked execution.

    All densities share one compiled program, which reads the density from an array.

    Args:
        prepared: Run of the state.
        state: State to validate.
        everything: Whether to evaluate at all densities, and with the noise of
            training; otherwise one pass over the split.
    """
    chosen = _where_there_is_a_choice(prepared.densities)
    densities = prepared.densities if everything else [chosen]
    states = at_densities(prepared, state, densities)
    answers = {d: _answer(prepared, states[d], d) for d in densities}
    calm = answers[chosen]
    scalars = dict(accuracy=calm.accuracy, loss=calm.loss)
    if everything and len(densities) > 1:
        scalars |= {f"accuracy_at_{d:.6g}": a.accuracy for d, a in answers.items()}
    if not calm.masks:
        return Validated(scalars, [], {})
    gates = prepared.trainer.gates
    decided = {
        name: prob
        for name, prob in calm.probabilities.items()
        if has_choice(gates[name], chosen)
    }
    health = diagnose(decided, prepared.dataset.validation.labels)
    for name, gate in health.items():
        for key, value in dataclasses.asdict(gate).items():
            scalars[f"{key}/{name}"] = value
    warnings = gate_warnings(health)
    if everything:
        noisy, calm_accuracy = _with_and_without_noise(
            prepared, states[chosen], chosen, calm
        )
        scalars["soft_to_hard_gap"] = noisy - calm_accuracy
        warnings += gap_warnings(noisy, calm_accuracy)
    return Validated(scalars, warnings, calm.probabilities)


def _with_and_without_noise(
    prepared: PreparedRun, state: State, density: float | None, calm: Evaluation
) -> tuple[float, float]:
    """Accuracy as in training, and without noise."""
    if is_shifted(prepared, state):  # which no step has seen
        state = shifted(prepared, state, 0.0)
        calm = _answer(prepared, state, density)
    return _answer(prepared, state, density, noise=True).accuracy, calm.accuracy


def _answer(
    prepared: PreparedRun, state: State, density: float | None, *, noise: bool = False
) -> Evaluation:
    return evaluate(
        compile_forward(prepared.trainer, noise=noise),
        state,
        prepared.dataset.validation,
        batch_size=prepared.settings.evaluation.batch_size,
        density=density,
    )


def _where_there_is_a_choice(densities: Sequence[float | None]) -> float | None:
    """The density closest to a half; None for gates that have none."""
    return min(densities, key=lambda d: 0.0 if d is None else abs(d - 0.5))
