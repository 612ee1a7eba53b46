"""What a run sees of itself now and then: accuracy, and the health of its gates."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from dynsparse.training.averages import at_densities
from dynsparse.training.calibration import shifted
from dynsparse.training.diagnostics import (
    diagnose,
    gap_complaint,
    gate_warnings,
    has_choice,
)
from dynsparse.training.evaluation import Evaluation, compile_forward, evaluate
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State


@dataclasses.dataclass(frozen=True)
class Validated:
    """The outcome of one validation; its text is a line for people.

    Attributes:
        scalars: `accuracy` and `loss` at the density nearest to a half, or at that of
            gates that fix none: what all methods have; the health of each gate there.
            Where everything was asked for, also the accuracy at each density, and the
            soft-to-hard gap: accuracy with the noise and soft masks of training, less
            that of evaluation, both as trained.
        warnings: What is wrong with the gates, in words.
        open_probs: Of each gate there, by its path.
    """

    scalars: dict[str, float]
    warnings: list[str]
    open_probs: dict[str, Float[np.ndarray, "n *rows units"]]

    def __str__(self) -> str:
        by_density = [name for name in self.scalars if name.startswith("accuracy_at")]
        names = by_density or ["accuracy"]
        words = [f"{name} {self.scalars[name]:.4f}" for name in names]
        return "\n  warning: ".join(["  ".join(words), *self.warnings])


class Validation:
    """Validates a state, over and over.

    Masked execution reads the density from an array: one compilation for all densities.

    Args:
        prepared: Whose validation split and densities to use.
    """

    def __init__(self, prepared: PreparedRun):
        self._experiment = prepared
        self._forward = compile_forward(prepared.trainer)
        self._noisy = compile_forward(prepared.trainer, noise=True)

    def __call__(self, state: State, *, everything: bool = True) -> Validated:
        """Returns what `state` is worth.

        Args:
            state: To be validated.
            everything: Whether to look at all densities, and at what noise does; one
                pass over the split otherwise.
        """
        chosen = _where_there_is_a_choice(self._experiment.densities)
        densities = self._experiment.densities if everything else [chosen]
        states = at_densities(self._experiment, state, densities)
        answers = {d: self._answer(self._forward, states[d], d) for d in densities}
        calm = answers[chosen]
        scalars = dict(accuracy=calm.accuracy, loss=calm.loss)
        if everything and len(densities) > 1:
            scalars |= {
                f"accuracy_at_{d:.6g}": answer.accuracy for d, answer in answers.items()
            }
        if not calm.masks:
            return Validated(scalars, [], {})
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
        found = gate_warnings(health)
        if everything:
            gap = self._with_and_without_noise(states[chosen], chosen, calm)
            scalars["soft_to_hard_gap"] = gap[0] - gap[1]
            found += gap_complaint(*gap)
        return Validated(scalars, found, calm.probabilities)

    def _with_and_without_noise(
        self, state: State, density: float | None, calm: Evaluation
    ) -> tuple[float, float]:
        """Accuracy as in training, and without noise."""
        if self._experiment.settings.budget_constraint is not None:
            # No step has seen the scores that calibration moves.
            state = shifted(self._experiment, state, 0.0)
            calm = self._answer(self._forward, state, density)
        noisy = self._answer(self._noisy, state, density)
        return noisy.accuracy, calm.accuracy

    def _answer(self, forward, state: State, density: float | None) -> Evaluation:
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
