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

from collections.abc import Sequence
from operator import itemgetter

from dynsparse import reports
from dynsparse.reports import Report, grouped
from dynsparse.reports.stats import ENOUGH_SEEDS, FEW_SEEDS, Row
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
    measured = []
    for row in rows:
        network, model = row["method"].split(" ", 1)
        place = dict(network=network, model=model, density=round(row["density"], 3))
        measured.append(place | {key: row[key] for key in ("seed", *OF)})
    notes, verdicts, seeds = [], [], []
    for network, some in grouped(measured, itemgetter("network")).items():
        seeds.append(number_of_seeds(some))
        few = f" {FEW_SEEDS.capitalize()}." * (seeds[-1] < ENOUGH_SEEDS)
        head = f"{network}, any budget minus one density, in points of accuracy.{few}"
        lines = [f"{head}\n"]
        for density, gap in differences(some).items():
            word = gap.beside(-ALLOWED)
            lines.append(f"- density {density:g}: {100 * gap:+.2f}, {word}")
            verdicts += [] if few else [word]
        notes.append("\n".join(lines))
    said = reports.answer(verdicts, "densities", seeds=max(seeds))
    by = ("network", "model", "density")
    draw = lambda figure, means: reports.draw_panels(
        figure,
        means,
        x="budget",
        y="accuracy",
        hue="model",
        panel="network",
        baselines=MODELS[1:],
    )
    notes = [*notes, RULE]
    return reports.report_means(measured, by, OF, notes=notes, draw=draw, answer=said)


def differences(measured: Sequence[Row]) -> dict[float, reports.Interval]:
    """The paired differences of accuracy over the seeds, by density.

    Args:
        measured: `model`, `density`, `seed` and `accuracy`, of one network.
    """
    any_budget, one_density = MODELS
    values = lambda model, density: reports.by_seed(
        measured, "accuracy", density=density, model=model
    )
    return reports.paired_differences(
        {
            density: (values(any_budget, density), values(one_density, density))
            for density in sorted({row["density"] for row in measured})
        }
    )
