"""Health of gates: how much their decisions depend on the input."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from dynsparse.gates import Gate, TopkGate
from dynsparse.training.evaluation.counters import Counters

_SILENT = 1e-3  # bits per unit, below which a gate is said to ignore its input
_GAP = 0.05  # of a score, from which training and evaluation are said to differ


@dataclasses.dataclass(frozen=True)
class GateHealth:
    """Statistics of the decisions of one gate over a split.

    Attributes:
        density: Mean fraction of open units.
        example_spread: Standard deviation of the density over the examples.
        group_spread: Standard deviation, over the groups of examples, such as their
            classes, of their mean density; None where the task has no groups.
        mutual_information: Mutual information of a unit and the input, in bits, mean
            over the units: 0 for a gate that ignores its input, at most the entropy of
            its density.
        never_open: Fraction of the units that no example opened.
        always_open: Fraction of the units that every example opened.
    """

    density: float
    example_spread: float
    group_spread: float | None
    mutual_information: float
    never_open: float
    always_open: float


def diagnose(
    gates: Mapping[str, Counters], groups: Int[np.ndarray, "n"] | None
) -> dict[str, GateHealth]:
    """Returns the health of each gate, by layer.

    Args:
        gates: What each gate opened in evaluation, by layer.
        groups: Group of each example, such as its class; None where there are none.
    """
    return {name: _diagnose(gate, groups) for name, gate in gates.items()}


def _diagnose(gate: Counters, groups: np.ndarray | None) -> GateHealth:
    examples = gate.open_prob.astype(np.float64)
    spread = None
    if groups is not None:
        means = [examples[groups == group].mean() for group in np.unique(groups)]
        spread = float(np.std(means))
    bits = _entropy(gate.rate / gate.count) - gate.entropy / gate.count
    return GateHealth(
        density=float(examples.mean()),
        example_spread=float(examples.std()),
        group_spread=spread,
        mutual_information=float(np.maximum(bits, 0).mean()),
        never_open=float((gate.most == 0).mean()),
        always_open=float((gate.least == 1).mean()),
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


def gap_warnings(
    metric: str, training: float, evaluation: float, unit: str
) -> list[str]:
    """Warning about the soft-to-hard gap, where it is large.

    Args:
        metric: Name of the score.
        training: Score with the noise and soft masks of training.
        evaluation: Score without them.
        unit: Of the score: of shares ("%") the difference counts, of other numbers
            what it is of the score.
    """
    scale = 1.0 if unit == "%" else abs(evaluation)
    if abs(training - evaluation) < _GAP * scale:
        return []
    return [
        f"{metric} depends on the noise and soft masks of the gates: {training:.3f} "
        f"with them, as in training, {evaluation:.3f} without"
    ]
