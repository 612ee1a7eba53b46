"""Health of gates: how much their decisions depend on the input."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from dynsparse.gates import Gate, TopkGate

_SILENT = 1e-3  # bits per unit, below which a gate is said to ignore its input
_GAP = 0.05  # of accuracy, from which training and evaluation are said to differ


@dataclasses.dataclass(frozen=True)
class GateHealth:
    """Statistics of the decisions of one gate over a split.

    Attributes:
        density: Mean fraction of open units.
        example_spread: Standard deviation of the density over the examples.
        class_spread: Standard deviation, over the classes, of their mean density.
        mutual_information: Mutual information of a unit and the input, in bits, mean
            over the units: 0 for a gate that ignores its input, at most the entropy of
            its density.
        never_open: Fraction of the units that no example opened.
        always_open: Fraction of the units that every example opened.
    """

    density: float
    example_spread: float
    class_spread: float
    mutual_information: float
    never_open: float
    always_open: float


def diagnose(
    probabilities: Mapping[str, Float[np.ndarray, "n *rows units"]],
    labels: Int[np.ndarray, "n"],
) -> dict[str, GateHealth]:
    """Returns the health of each gate, by layer.

    Args:
        probabilities: `open_prob` in evaluation, by layer; 0 or 1 except for gates that
            stay random there.
        labels: Class of each example.
    """
    return {
        name: _diagnose(prob.reshape(len(prob), -1), labels)
        for name, prob in probabilities.items()
    }


def _diagnose(prob: np.ndarray, labels: np.ndarray) -> GateHealth:
    examples = prob.mean(1, dtype=np.float64)
    classes = [examples[labels == label].mean() for label in np.unique(labels)]
    rates = prob.mean(0, dtype=np.float64)
    bits = _entropy(rates) - _entropy(prob.astype(np.float64)).mean(0)
    return GateHealth(
        density=float(examples.mean()),
        example_spread=float(examples.std()),
        class_spread=float(np.std(classes)),
        mutual_information=float(np.maximum(bits, 0).mean()),
        never_open=float((prob == 0).all(0).mean()),
        always_open=float((prob == 1).all(0).mean()),
    )


def _entropy(p: np.ndarray) -> np.ndarray:
    inside = np.where((p > 0) & (p < 1), p, 0.5)
    bits = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
    return np.where((p > 0) & (p < 1), bits, 0.0)


def has_choice(gate: Gate, density: float | None) -> bool:
    """Whether a gate may open some units and close others.

    Args:
        gate: Gate of any kind.
        density: Density of the top-k gates; None for models without them.
    """
    asked = density in (0.0, 1.0) and isinstance(gate, TopkGate)
    return gate.count != "full" and not asked


def gate_warnings(health: Mapping[str, GateHealth]) -> list[str]:
    """Warnings in words, one line per gate.

    Args:
        health: Health by layer, at a density where gates have a choice.
    """
    lines = []
    for name, gate in health.items():
        where = name or "the gate"
        if gate.never_open == 1:
            lines.append(f"{where} is closed for every input")
        elif gate.always_open == 1:
            lines.append(f"{where} is open for every input: it saves nothing")
        elif gate.mutual_information < _SILENT:
            lines.append(
                f"{where} ignores its input ({gate.mutual_information:.4f} bits a unit)"
            )
    return lines


def gap_warnings(training: float, evaluation: float) -> list[str]:
    """Warning about the soft-to-hard gap, where it is large.

    Args:
        training: Accuracy with the noise and soft masks of training.
        evaluation: Accuracy without them.
    """
    if abs(training - evaluation) < _GAP:
        return []
    return [
        f"accuracy depends on the noise and soft masks of the gates: {training:.3f} "
        f"with them, as in training, {evaluation:.3f} without"
    ]
