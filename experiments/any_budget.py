"""Is one model for any budget worth as much as one model per budget?

    python -m experiments.any_budget --out DIR

Claim: a model that trains at the largest, the smallest and a random density in every
step (the sandwich rule with in-place distillation: Yu and Huang, 2019,
arXiv:1903.05134, for widths) is at most half a point less accurate, at every density,
than a model that trained at that density alone. What would refute it: a density at
which the paired difference over seeds is below that.

Top-k gates over the tokens of a small transformer and over the positions of a ResNet,
on cluttered digits; the same steps for every model, which are three passes each for
that of any budget; the accuracy is that of compact execution over the test pictures.
"""

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from dynsparse.reports import Difference, Report, Row, paired_difference
from experiments.alone import run_alone
from experiments.trained import train

DENSITIES = dict(
    conv_vit=(0.125, 0.25, 0.5, 0.75, 1.0),
    resnet=(0.25, 0.5, 1.0),
)
SEEDS = dict(conv_vit=(0,), resnet=(0,))  # more of them make an interval
FEWER = dict(resnet={"train.num_steps": 400, "data.num_test": 4_000})
ALLOWED = 0.005  # of accuracy


def sweep(add, size):
    """One call of `add` per run."""
    for network, seeds in SEEDS.items():
        for seed in seeds:
            for density in (None, *DENSITIES[network]):
                trial = dict(network=network, trained_at=density, seed=seed)
                add(**trial, small=size == "small")


def measure(
    *, network: str, trained_at: float | None, seed: int, small: bool = False
) -> list[dict[str, Any]]:
    """Trains one run.

    Args:
        network: File of configs/models.
        trained_at: The one density of the run; None for random ones.
        seed: Of the run.
        small: Whether the run is one to test with.

    Returns:
        A row per density: budget and accuracy there.
    """
    changes: dict[str, Any] = {"seed": seed, "evaluation.budgets": ()}
    wanted = DENSITIES[network] if trained_at is None else (trained_at,)
    changes["evaluation.densities"] = wanted
    changes |= FEWER.get(network, {})
    argument = f"soft_topk,{network},sandwich"
    if trained_at is not None:
        argument = f"soft_topk,{network},one_density"
        changes["density_sampling.low"] = changes["density_sampling.high"] = trained_at
    _, points = train(argument, changes, small=small)
    asked = sorted(wanted, reverse=True)
    return [
        dict(
            network=network,
            model="any budget" if trained_at is None else "one density",
            density=density,
            seed=seed,
            budget=point.bill.budget,
            accuracy=point.answers.accuracy,
        )
        for density, point in zip(asked, points, strict=True)
    ]


def differences(results: Sequence[Row]) -> dict[float, Difference]:
    """The paired differences of accuracy over the seeds, by density.

    Args:
        results: Of one network.
    """
    found = {}
    for density in sorted({row["density"] for row in results}):
        by_model: dict[str, dict[int, float]] = {}
        for row in results:
            if row["density"] == density:
                by_model.setdefault(row["model"], {})[row["seed"]] = row["accuracy"]
        found[density] = paired_difference(
            by_model["any budget"], by_model["one density"]
        )
    return found


def report(results: Sequence[Row]) -> Report:
    """Both curves of each network, and the paired differences."""
    notes = []
    for network in _networks(results):
        chosen = [row for row in results if row["network"] == network]
        lines = [f"{network}, any budget less one density, in points of accuracy:\n"]
        for density, gap in differences(chosen).items():
            interval = f"± {100 * gap.half:.2f}" if gap.number > 1 else "one seed"
            verdict = "within" if gap.mean >= -ALLOWED else "NOT within"
            lines.append(
                f"- density {density:g}: {100 * gap.mean:+.2f} ({interval}), {verdict} "
                "the half point"
            )
        notes.append("\n".join(lines))
    return Report(
        rows=results,
        columns=list(results[0]),
        notes=notes,
        figure=lambda figure: _draw(figure, results),
    )


def _networks(results: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["network"] for row in results))


def _draw(figure, results: Sequence[Row]):
    networks = _networks(results)
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    for ax, network in zip(panels, networks, strict=True):
        for index, model in enumerate(("any budget", "one density")):
            chosen = [
                r for r in results if (r["network"], r["model"]) == (network, model)
            ]
            by_density: dict[float, list[Row]] = {}
            for row in sorted(chosen, key=lambda row: row["density"]):
                by_density.setdefault(row["density"], []).append(row)
            mean = lambda key, found=by_density: [
                statistics.mean(row[key] for row in rows) for rows in found.values()
            ]
            accuracy = [100 * value for value in mean("accuracy")]
            ax.plot(mean("budget"), accuracy, color=f"C{index}", label=model)
            ax.plot(
                [row["budget"] for row in chosen],
                [100 * row["accuracy"] for row in chosen],
                "os"[index],
                color=f"C{index}",
                fillstyle="none",
            )
        ax.set(title=network, xlabel="MACs / dense MACs", ylabel="test accuracy, %")
        ax.legend()


if __name__ == "__main__":
    sys.exit(run_alone(sys.modules["__main__"]))
