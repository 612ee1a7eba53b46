"""Does a penalised gate spend what it was asked to, without tuning?

    python -m experiments.reaching_the_target --out DIR

Claim: the PI controller (Sohrabi et al., 2024, arXiv:2406.04558) brings gates of a
varying count within 2 % of a target for their MACs, whatever its first price, where a
fixed penalty weight ends somewhere else. What would refute it: a target and a first
price at which it does not, or a fixed weight that does as well at every target.

Gumbel-sigmoid gates over the tokens of cluttered digits; what is spent is the bill of
compact execution over the 10,000 test pictures, as a fraction of the dense MACs.
"""

import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import Report, Row
from experiments.alone import run_alone
from experiments.trained import train

TARGETS = (0.3, 0.5, 0.7)
PRICES = (0.0, 1.0, 5.0)
WEIGHT = 10.0  # of the squared distance, in the arm without a controller


def sweep(add, size):
    """One call of `add` per run."""
    small = size == "small"
    for target in TARGETS[:2] if small else TARGETS:
        options = dict(target=target, seed=0, small=small)
        for price in PRICES:
            add(arm="pi_controller", initial=price, **options)
        add(arm="mac_target", initial=None, **options)


def measure(
    *, arm: str, target: float, initial: float | None, seed: int, small: bool = False
) -> dict[str, Any]:
    """Trains one run.

    Args:
        arm: File of configs/budgets.
        target: Fraction of the dense MACs.
        initial: First price; None where the weight is fixed.
        seed: Of the run.
        small: Whether the run is one to test with.

    Returns:
        Target, what was spent, how far that is from the target, and the accuracy.
    """
    if arm == "pi_controller":
        changes: dict[str, Any] = {"budget_constraint.target": target}
        changes["budget_constraint.controller.initial"] = initial
    else:
        changes = {
            "penalties.mac_target.target": target,
            "penalties.mac_target.weight": WEIGHT,
        }
    _, (point,) = train(f"gumbel_sigmoid,,{arm}", changes | {"seed": seed}, small=small)
    spent = point.bill.budget
    return dict(
        arm=arm,
        target=target,
        initial=initial,
        seed=seed,
        spent=spent,
        error=spent / target - 1,
        accuracy=point.answers.accuracy,
    )


def report(results: Sequence[Row]) -> Report:
    """The table, and spent against asked."""
    notes = []
    for arm in dict.fromkeys(row["arm"] for row in results):
        errors = [abs(row["error"]) for row in results if row["arm"] == arm]
        within = sum(error <= 0.02 for error in errors)
        notes.append(
            f"{arm}: {within} of {len(errors)} runs within 2 % of their target, the "
            f"furthest {max(errors):.1%} off."
        )
    return Report(
        rows=results,
        columns=list(results[0]),
        notes=notes,
        figure=lambda figure: _draw(figure, results),
    )


def _draw(figure, results: Sequence[Row]):
    ax = figure.subplots()
    targets = sorted({row["target"] for row in results})
    ax.plot(targets, targets, color="0.7", linestyle="--", linewidth=1, label="asked")
    keys = dict.fromkeys((row["arm"], row["initial"]) for row in results)
    for index, (arm, initial) in enumerate(keys):
        chosen = [r for r in results if (r["arm"], r["initial"]) == (arm, initial)]
        label = arm if initial is None else f"{arm}, first price {initial:g}"
        ax.plot(
            [row["target"] + 0.006 * (index - 1.5) for row in chosen],
            [row["spent"] for row in chosen],
            "os^v"[index % 4],
            color=f"C{index}",
            label=label,
        )
    ax.set(xlabel="target, of the dense MACs", ylabel="spent, of the dense MACs")
    ax.legend()


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
