"""Is one model for any budget worth as much as one model per budget?

    python -m experiments.any_budget --out DIR

Claim: a model that trains at random densities (Yu and Huang, 2019, arXiv:1903.05134,
for widths) is at most half a point less accurate, at every density, than a model that
trained at that density alone. What would refute it: a density at which the paired
difference over seeds is below that, its 95 % interval included.

Top-k gates over the tokens of cluttered digits, the same steps for every model; the
accuracy is that of compact execution over the 10,000 test pictures.
"""

import math
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import Report, Row
from experiments.alone import run_alone
from experiments.trained import train

DENSITIES = (0.125, 0.25, 0.5, 0.75, 1.0)
SEEDS = (0,)  # more of them make an interval
ALLOWED = 0.005  # of accuracy
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's, by the number of pairs


def sweep(add, size):
    """One call of `add` per run."""
    for seed in SEEDS:
        for density in (None, *DENSITIES):
            add(trained_at=density, seed=seed, small=size == "small")


def measure(
    *, trained_at: float | None, seed: int, small: bool = False
) -> list[dict[str, Any]]:
    """Trains one run.

    Args:
        trained_at: The one density of the run; None for random ones.
        seed: Of the run.
        small: Whether the run is one to test with.

    Returns:
        A row per density: budget and accuracy there.
    """
    changes: dict[str, Any] = {"seed": seed, "evaluation.budgets": ()}
    changes["evaluation.densities"] = DENSITIES if trained_at is None else (trained_at,)
    argument = "soft_topk"
    if trained_at is not None:
        argument = "soft_topk,,one_density"
        changes["density_sampling.low"] = changes["density_sampling.high"] = trained_at
    _, points = train(argument, changes, small=small)
    asked = sorted(changes["evaluation.densities"], reverse=True)
    return [
        dict(
            model="any budget" if trained_at is None else "one density",
            density=density,
            seed=seed,
            budget=point.bill.budget,
            accuracy=point.answers.accuracy,
        )
        for density, point in zip(asked, points, strict=True)
    ]


def differences(results: Sequence[Row]) -> dict[float, tuple[float, float]]:
    """Mean of the paired differences by density, and half their 95 % interval.

    The interval is Student's over seeds; half its width is nan for a single seed.
    """
    found = {}
    for density in sorted({row["density"] for row in results}):
        by_seed: dict[int, dict[str, float]] = {}
        for row in results:
            if row["density"] == density:
                by_seed.setdefault(row["seed"], {})[row["model"]] = row["accuracy"]
        gaps = [pair["any budget"] - pair["one density"] for pair in by_seed.values()]
        half = math.nan
        if len(gaps) > 1:
            error = statistics.stdev(gaps) / math.sqrt(len(gaps))
            half = T_95[len(gaps)] * error
        found[density] = (statistics.mean(gaps), half)
    return found


def report(results: Sequence[Row]) -> Report:
    """Both curves, and the paired differences."""
    notes = ["Any budget less one density, in points, mean and 95 % interval:"]
    for density, (mean, half) in differences(results).items():
        holds = "within" if mean >= -ALLOWED else "NOT within"
        notes.append(
            f"- density {density:g}: {100 * mean:+.2f} ± {100 * half:.2f} ({holds} "
            f"the half point)"
        )
    return Report(
        rows=results,
        columns=list(results[0]),
        notes=[notes[0], "\n".join(notes[1:])],
        figure=lambda figure: _draw(figure, results),
    )


def _draw(figure, results: Sequence[Row]):
    ax = figure.subplots()
    for index, model in enumerate(dict.fromkeys(row["model"] for row in results)):
        chosen = [row for row in results if row["model"] == model]
        budgets = sorted({row["budget"] for row in chosen})
        mean = lambda b, rows=chosen: statistics.mean(
            100 * row["accuracy"] for row in rows if row["budget"] == b
        )
        color = f"C{index}"
        ax.plot(budgets, [mean(b) for b in budgets], color=color, label=model)
        ax.plot(
            [row["budget"] for row in chosen],
            [100 * row["accuracy"] for row in chosen],
            "os"[index],
            color=color,
            fillstyle="none",
        )
    ax.set(xlabel="MACs / dense MACs", ylabel="test accuracy, %")
    ax.legend()


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
