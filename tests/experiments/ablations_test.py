"""The ablations: their sweeps, and what their reports make of rows."""

import math

import matplotlib.figure
import numpy as np
import pytest

from dynsparse import reports
from dynsparse.launching.experiment import load_sweep
from dynsparse.reports import stats
from experiments import (
    any_budget,
    difficulty,
    granularity,
    mask_recovery,
    per_input_or_static,
    reaching_the_target,
    soft_to_hard_gap,
    token_choice,
)

CURVES = (any_budget, granularity, per_input_or_static, token_choice)
ABLATIONS = (
    *CURVES,
    difficulty,
    mask_recovery,
    reaching_the_target,
    soft_to_hard_gap,
)
NAMES = [module.__name__.split(".")[1] for module in ABLATIONS]


def trials(module, size="small"):
    name = module.__name__.split(".")[1]
    return load_sweep(f"experiments/{name}.py:{size}").trials()


def curve(trial):
    """Made-up points: accuracy falls with the budget, a little with the seed."""
    config = trial.config
    wanted = config["evaluation"]
    budgets = [*wanted["densities"], *wanted["budgets"]]
    budget = config["budget"]
    if budget["name"] == "fixed":  # the curve shows its density in any case
        budgets = sorted({*budgets, budget["density"]})
    if budget["name"] == "constrained":
        budgets = [budget["target"] * (1 + 0.001 * trial.seed)]
    elif "mac_target" in budget["penalties"]:
        budgets = [budget["penalties"]["mac_target"]["target"] * 0.9]
    elif trial.asked["method"] in ("dense", "narrower"):
        budgets = [1.0]
    dense = 1e6 * config["model"]["width"] / 48
    return [
        dict(
            density=budget,
            budget=budget,
            flops_mean=2 * budget * dense,
            macs_mean=budget * dense,
            macs_p95=budget * dense,
            macs_dense=dense,
            score=0.5 + 0.4 * budget - 0.01 * trial.seed**2,
            accuracy=0.5 + 0.4 * budget - 0.01 * trial.seed**2,
            latency_ms=5 * budget + 1,
            latency_dense_ms=6.0,
        )
        for budget in sorted(budgets, reverse=True)
    ]


class Made:
    """A trial of a sweep with made-up results."""

    def __init__(self, trial):
        self.trial, self.asked, self.config = trial, trial.asked, trial.config
        self.seed = trial.asked["seed"]

    def rows(self, found):
        """Its rows, where `found` is what was examined, if anything."""
        result = dict(metric=reports.Metric()._asdict(), curve=curve(self))
        result |= {} if found is None else found
        return self.trial.rows(result)


def spent(trial):
    """As `examine` of reaching_the_target, worse without calibration."""
    then, now = reaching_the_target.TRAINED, reaching_the_target.MOVED
    if trial.config["budget"]["name"] != "constrained":
        now = then
    rows = [
        dict(spent=point["budget"], accuracy=point["accuracy"], scores=now)
        for point in curve(trial)
    ]
    if now == then:
        return rows
    return [*rows, rows[0] | dict(spent=1.1 * rows[0]["spent"], scores=then)]


FOUND = {
    reaching_the_target: spent,
    difficulty: lambda trial: [
        dict(
            images=images,
            clutter=0.01 * trial.seed + 0.5 * (trial.asked["method"][0] == "g"),
            faintness=0.01 * (-1) ** trial.seed,
            budget=0.5,
            accuracy=0.9,
        )
        for images in difficulty.PICTURES
    ],
    mask_recovery: lambda trial: [
        dict(
            density=density,
            accuracy=0.9,
            recall=0.6 if trial.asked["method"] == "soft_topk" else 0.3,
            precision=0.5,
            random_recall=0.4,
            fixed_recall=0.7,
            random_precision=0.3,
        )
        for density in mask_recovery.DENSITIES["small"]
    ],
    soft_to_hard_gap: lambda trial: [
        dict(
            training=0.9,
            evaluation=0.9,
            spent=0.6,
            accuracy=0.9 - 0.1 * (trial.asked["setting"] == soft_to_hard_gap.LOW),
            gap=0.1 if trial.asked["method"] == "binary_concrete" else 0.0,
            budget=0.5,
        )
    ],
}


def reported(module):
    """The report of made-up results of its small sweep."""
    rows = []
    for trial in map(Made, trials(module)):
        examine = FOUND.get(module)
        rows += trial.rows(None if examine is None else dict(examined=examine(trial)))
    return module.report(rows)


@pytest.mark.parametrize("module", ABLATIONS, ids=NAMES)
def test_a_small_sweep_is_small(module):
    small = trials(module)
    assert len({trial.asked["seed"] for trial in small}) == 3
    assert len(small) <= 36
    assert all(trial.config["train"]["num_steps"] == 60 for trial in small)


@pytest.mark.parametrize("module", ABLATIONS, ids=NAMES)
def test_a_report_has_a_table_and_a_figure(module):
    report = reported(module)
    assert {"seeds", "difference (points)"} & set(report.columns)
    assert len(report.table) == len(report.rows)
    assert all(set(report.columns) <= set(row) for row in report.table)
    assert "fewer than 5 seeds" in report.answer  # which three are
    figure = matplotlib.figure.Figure(layout="constrained")
    report.figure(figure)
    panels = [*figure.axes, *(axes for part in figure.subfigs for axes in part.axes)]
    assert any(axes.has_data() for axes in panels)


def test_difficulty_is_followed_where_the_correlation_is_above_that_of_chance():
    notes = "\n".join(reported(difficulty).notes)
    assert "gumbel_sigmoid: clutter, as in training: supported (+0.5" in notes
    assert "faintness, more clutter: inconclusive (+0.000, p 1.000)" in notes
    assert "hard_concrete: clutter, as in training: inconclusive" in notes


def test_recovery_is_beside_chance():
    notes = "\n".join(reported(mask_recovery).notes)
    above = (
        "soft_topk: recall above that of random tokens at 0.2, 0.4 of 2, of the best "
    )
    assert above + "same ones for all images at no density of 2" in notes
    assert "magnitude: recall above that of random tokens at no density of 2" in notes


def test_recovery_by_chance_at_one_density_of_many_is_no_recovery():
    rows = [
        dict(density=density, method="random_topk", seed=seed, precision=0.3)
        | dict(random_recall=0.5, fixed_recall=0.5, accuracy=0.1)
        | dict(recall=0.5 + (0.01 * (seed + 1) if density == 0.4 else 0.1 * sign))
        for density in (0.1, 0.2, 0.3, 0.4)
        for seed, sign in enumerate((-1, 1, 1, -1))
    ]
    alone = mask_recovery.report([row for row in rows if row["density"] == 0.4])
    assert "random tokens at 0.4 of 1, of" in "\n".join(alone.notes)
    assert "random tokens at no density of 4, of" in "\n".join(
        mask_recovery.report(rows).notes
    )


def test_gaps_and_losses_are_differences_by_seed():
    notes = "\n".join(reported(soft_to_hard_gap).notes)
    gap = "gap of soft samples over that of hard ones at temperature 1: +10.00 points"
    assert f"{gap} (± 0.00, p < 0.001): supported" in notes
    loss = "(hard samples) at temperature 1 over that at temperature 0.1: +10.00"
    assert loss in notes


def test_tokens_are_compared_with_each_unit_by_macs_and_by_time():
    notes = "\n".join(reported(granularity).notes)
    for unit in ("bypass", "neurons", "blocks"):
        assert notes.count(f"- against {unit} over ") == 2
    assert notes.count("- against heads: nothing in common") == 2  # none if small


def test_targets_are_met_within_two_percent_or_not():
    lines, _ = reported(reaching_the_target).notes
    of = "6 runs within 2% of their target, the furthest"
    moved = "- PI, first price 0, scores moved to the target: 6"
    assert f"{moved} of {of} 0.2% off\n" in lines
    assert f"- PI, first price 0, scores as trained: 0 of {of} 10.2% off" in lines
    assert f"- weight 10, scores as trained: 0 of {of} 10.0% off" in lines
    assert "10.0% off; misses at 0.35, 0.55" in lines
    assert f"- exact budget, scores as trained: 6 of {of}" in lines


def test_differences_are_paired_by_seed():
    gaps = (0.01, 0.02, 0.06)
    rows = []
    for seed, gap in enumerate(gaps):
        base = dict(density=0.5, seed=seed)
        rows.append(base | dict(model="any budget", accuracy=0.1 * seed + gap))
        rows.append(base | dict(model="one density", accuracy=0.1 * seed))
    found = any_budget.differences(rows)[0.5]
    np.testing.assert_allclose(found.mean, 0.03)
    error = np.std(gaps, ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(found.half, 4.303 * error, rtol=1e-3)
    assert math.isnan(any_budget.differences(rows[:2])[0.5].half)


@pytest.mark.parametrize(
    ("gaps", "words"),
    [
        (
            (0.0, 0.001, 0.002),
            ["**Supported**: supported for 1 of 1", "+0.10 ± 0.25, supported"],
        ),
        (
            (-0.02, -0.021, -0.022),
            ["**Contradicted**: ", "-2.10 ± 0.25, contradicted"],
        ),
        (
            (-0.02, 0.02, 0.03),
            ["**Inconclusive**: ", "+1.00 ± 6.57, inconclusive"],
        ),
        ((0.5,), ["**Inconclusive**: ", "+50.00, inconclusive"]),
    ],
)
def test_half_a_point_is_judged_by_the_interval(gaps, words, monkeypatch):
    for module in (any_budget, stats):  # few seeds will do
        monkeypatch.setattr(module, "ENOUGH_SEEDS", 1)
    base = dict(density=0.5, budget=0.5, method="net one density", accuracy=0.1)
    rows = [base | dict(seed=seed) for seed in range(len(gaps))]
    rows += [
        row | dict(method="net any budget", accuracy=0.1 + gap)
        for row, gap in zip(rows, gaps, strict=True)
    ]
    report = any_budget.report(rows)
    said = "\n".join([report.answer, *report.notes])
    assert all(found in said for found in words)


def test_few_seeds_are_said_of_the_network_that_has_them():
    base = dict(density=0.5, budget=0.5, accuracy=0.1)
    rows = [
        base | dict(seed=seed, method=f"{network} {model}")
        for network, seeds in (("many", 5), ("few", 3))
        for model in any_budget.MODELS
        for seed in range(seeds)
    ]
    report = any_budget.report(rows)
    many, few, _ = report.notes
    assert "Fewer than 5 seeds" not in many
    assert few.startswith("few, any budget minus")
    assert "Fewer than 5 seeds" in few
    assert "of 1 densities" in report.answer  # of the network that has enough
