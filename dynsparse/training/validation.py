"""What a run sees of itself now and then: accuracy, and the health of its gates."""

import dataclasses
from collections.abc import Sequence

from dynsparse.training.averages import at_densities
from dynsparse.training.calibration import shifted
from dynsparse.training.diagnostics import (
    complaints,
    diagnose,
    gap_complaint,
    has_choice,
)
from dynsparse.training.evaluation import Answers, compile_forward, evaluate
from dynsparse.training.experiment import Experiment
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Validated:
    """The outcome of one validation; its text is a line for people.

    Attributes:
        scalars: Accuracy at each density, the health of each gate at one where it has a
            choice, and the soft-to-hard gap there: accuracy with the noise and soft
            masks of training, less that of evaluation, both as trained.
        complaints: What is wrong with the gates, in words.
    """

    scalars: dict[str, float]
    complaints: list[str]

    def __str__(self) -> str:
        words = [
            f"{name} {value:.4f}"
            for name, value in self.scalars.items()
            if name.startswith("accuracy")
        ]
        return "\n  warning: ".join(["  ".join(words), *self.complaints])


class Validation:
    """Validates a state, over and over.

    Masked execution reads the density from an array: one compilation for all densities.

    Args:
        experiment: Whose validation split and densities to use.
    """

    def __init__(self, experiment: Experiment):
        self._experiment = experiment
        self._forward = compile_forward(experiment.trainer)
        self._noisy = compile_forward(experiment.trainer, noise=True)

    def __call__(self, state: State) -> Validated:
        """Returns what `state` is worth."""
        densities = self._experiment.densities
        states = at_densities(self._experiment, state, densities)
        answers = {d: self._answer(self._forward, states[d], d) for d in densities}
        scalars = {
            "accuracy" if d is None else f"accuracy_at_{d:.6g}": answer.accuracy
            for d, answer in answers.items()
        }
        chosen = _where_there_is_a_choice(densities)
        calm = answers[chosen]
        if not calm.masks:
            return Validated(scalars, [])
        labels = self._experiment.dataset.validation.labels
        gates = self._experiment.trainer.gates
        decided = {
            name: prob
            for name, prob in calm.probabilities.items()
            if has_choice(gates[name], chosen)
        }
        health = diagnose(decided, labels)
        for name, gate in health.items():
            for key, value in dataclasses.asdict(gate).items():
                scalars[f"{key}/{name}"] = value
        trained = states[chosen]
        if self._experiment.settings.budget_constraint is not None:
            # No step has seen the scores that calibration moves.
            trained = shifted(self._experiment, trained, 0.0)
            calm = self._answer(self._forward, trained, chosen)
        noisy = self._answer(self._noisy, trained, chosen)
        gap = noisy.accuracy, calm.accuracy
        scalars["soft_to_hard_gap"] = gap[0] - gap[1]
        return Validated(scalars, complaints(health) + gap_complaint(*gap))

    def _answer(self, forward, state: State, density: float | None) -> Answers:
        return evaluate(
            forward,
            state,
            self._experiment.dataset.validation,
            batch_size=self._experiment.settings.evaluation.batch_size,
            density=density,
        )


def _where_there_is_a_choice(densities: Sequence[float | None]) -> float | None:
    """The density closest to a half; None for gates that have none."""
    return min(densities, key=lambda d: 0.0 if d is None else abs(d - 0.5))
