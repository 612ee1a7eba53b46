"""Is one model for any budget worth as much as one model per budget?

    python launch.py sweep experiments/any_budget.py:full --workdir=DIR

Claim: a model that trains at the largest, the smallest and a random density in every
step (the sandwich rule with in-place distillation: Yu and Huang, 2019,
arXiv:1903.05134, for widths) is at most half a point less accurate, at every density,
than a model that trained at that density alone. What would refute it: a density at
which the paired difference over seeds is below that.

Top-k gates over the tokens of a small transformer and over the positions of a ResNet,
on cluttered digits; the same steps for every model, which are three passes each for
that of any budget; the accuracy is that of compact execution over the test images.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from dynsparse.reports import (
    Interval,
    Report,
    answer,
    by_seed,
    errorbars,
    judge_bound,
    paired_difference,
    report_means,
    strokes,
    with_half,
)
from dynsparse.reports.stats import ENOUGH_SEEDS, FEW_SEEDS
from dynsparse.reports.tables import Row
from .digits import digits, number_of_seeds

DENSITIES = dict(
    small=dict(conv_vit=(0.35, 0.7)),
    full=dict(conv_vit=(0.125, 0.25, 0.5, 0.75, 1.0), resnet=(0.25, 0.5, 1.0)),
)
SEEDS = dict(
    small=dict(conv_vit=range(3)),
    full=dict(conv_vit=range(5), resnet=range(3)),
)
FEWER = dict(resnet=dict(train__num_steps=400, data__num_test=4_000))
MODELS = ("any budget", "one density")
ALLOWED = 0.005  # of accuracy
OF = dict(budget=".3f", accuracy=".4f")
RULE = (
    "Supported: the 95 % interval lies above half a point less; contradicted: below. "
    "Each interval is that of one density, not corrected for their number."
)


def sweep(add, size):
    """One run for any budget and one per density, of each network and seed."""
    run = digits(add, size, {"evaluation.budgets": ()})
    for network, densities in DENSITIES[size].items():
        fewer = FEWER.get(network, {})
        for seed in SEEDS[size][network]:
            run(
                f"{network} any budget",
                f"soft_topk,{network},sandwich",
                "all",
                seed,
                evaluation__densities=densities,
                **fewer,
            )
            for density in densities:
                run(
                    f"{network} one density",
                    f"soft_topk,{network},fixed",
                    f"density {density:g}",
                    seed,
                    budget__density=density,
                    evaluation__densities=(),
                    **fewer,
                )


def report(rows: Sequence[Row]) -> Report:
    """Both curves of each network, and the paired differences."""
    measured = [_named(row) for row in rows]
    networks = {
        network: [row for row in measured if row["network"] == network]
        for network in dict.fromkeys(row["network"] for row in measured)
    }
    by = ("network", "model", "density")
    notes, said = _notes(networks)
    return report_means(measured, by, OF, notes=notes, draw=_draw, answer=said)


def differences(measured: Sequence[Row]) -> dict[float, Interval]:
    """The paired differences of accuracy over the seeds, by density.

    Args:
        measured: `model`, `density`, `seed` and `accuracy`, of one network.
    """
    found = {}
    for density in sorted({row["density"] for row in measured}):
        of = functools.partial(by_seed, measured, "accuracy", density=density)
        found[density] = paired_difference(*(of(model=model) for model in MODELS))
    return found


def _notes(networks: Mapping[str, Sequence[Row]]) -> tuple[list[str], str]:
    """What each network says, and the answer of those with enough seeds."""
    notes, verdicts, seeds = [], [], []
    for network, measured in networks.items():
        seeds.append(number_of_seeds(measured))
        few = f" {FEW_SEEDS.capitalize()}." * (seeds[-1] < ENOUGH_SEEDS)
        head = f"{network}, any budget minus one density, in points of accuracy.{few}"
        lines = [f"{head}\n"]
        for density, gap in differences(measured).items():
            points = with_half(100 * gap.mean, 100 * gap.half, "+.2f")
            word = judge_bound(gap, -ALLOWED)
            lines.append(f"- density {density:g}: {points}, {word}")
            verdicts += [] if few else [word]
        notes.append("\n".join(lines))
    return [*notes, RULE], answer(verdicts, "densities", seeds=max(seeds))


def _named(row: Row) -> dict[str, Any]:
    network, model = row["method"].split(" ", 1)
    place = dict(network=network, model=model, density=round(row["density"], 3))
    return place | {key: row[key] for key in ("seed", *OF)}


def _draw(figure, means: Sequence[Row]):
    networks = list(dict.fromkeys(row["network"] for row in means))
    panels = figure.subplots(1, len(networks), squeeze=False)[0]
    looks = strokes(MODELS, MODELS[1:])
    for axes, network in zip(panels, networks, strict=True):
        some = [row for row in means if row["network"] == network]
        errorbars(
            axes, some, "budget_mean", "accuracy", "model", looks=looks, scale=100.0
        )
        axes.set(title=network, xlabel="MACs / dense MACs", ylabel="test accuracy (%)")
        axes.legend()
