"""Validation during training: scores, and the health of the gates."""

import dataclasses
from collections.abc import Sequence

from dynsparse.training.evaluation.calibration import is_shifted, shifted
from dynsparse.training.evaluation.counters import Counters
from dynsparse.training.evaluation.diagnostics import (
    diagnose,
    gap_warnings,
    gate_warnings,
    has_choice,
)
from dynsparse.training.evaluation.evaluate import Evaluation, evaluate
from dynsparse.training.evaluation.forward import compile_forward
from dynsparse.training.evaluation.norms import at_densities
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Validated:
    """Outcome of one validation; its text is a line for people.

    Attributes:
        scalars: The task's scores and `loss` at the density nearest to a half, or as
            trained for gates without a density; the health of each gate there. After
            the last step also the metric at each density, and the soft-to-hard gap:
            the metric with the noise and soft masks of training minus that of
            evaluation.
        warnings: Warnings about the gates, in words.
        gates: What each gate opened there, by its path.
        metric: Name of the metric.
    """

    scalars: dict[str, float]
    warnings: list[str]
    gates: dict[str, Counters]
    metric: str

    def __str__(self) -> str:
        by_density = [
            name for name in self.scalars if name.startswith(f"{self.metric}_at")
        ]
        names = by_density or [self.metric]
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
    metric, scalars = prepared.task.metric, calm.scores | dict(loss=calm.loss)
    if everything and len(densities) > 1:
        scalars |= {f"{metric}_at_{d:.6g}": a.score for d, a in answers.items()}
    if not calm.gates:
        return Validated(scalars, [], {}, metric)
    gates = prepared.trainer.gates
    decided = {
        name: counters
        for name, counters in calm.gates.items()
        if has_choice(gates[name], chosen)
    }
    health = diagnose(decided, calm.groups)
    for name, gate in health.items():
        for key, value in dataclasses.asdict(gate).items():
            if value is not None:
                scalars[f"{key}/{name}"] = value
    warnings = gate_warnings(health)
    if everything:
        noisy, without = _with_and_without_noise(prepared, states[chosen], chosen, calm)
        scalars["soft_to_hard_gap"] = noisy - without
        warnings += gap_warnings(metric, noisy, without, prepared.task.unit)
    return Validated(scalars, warnings, calm.gates, metric)


def _with_and_without_noise(
    prepared: PreparedRun, state: State, density: float | None, calm: Evaluation
) -> tuple[float, float]:
    """The metric as in training, and without noise."""
    if is_shifted(prepared, state):  # which no step has seen
        state = shifted(prepared, state, 0.0)
        calm = _answer(prepared, state, density)
    return _answer(prepared, state, density, noise=True).score, calm.score


def _answer(
    prepared: PreparedRun, state: State, density: float | None, *, noise: bool = False
) -> Evaluation:
    return evaluate(
        compile_forward(prepared.trainer, noise=noise),
        prepared,
        state,
        prepared.task.validation,
        density=density,
    )


def _where_there_is_a_choice(densities: Sequence[float | None]) -> float | None:
    """The density closest to a half; None for gates that have none."""
    return min(densities, key=lambda d: 0.0 if d is None else abs(d - 0.5))
