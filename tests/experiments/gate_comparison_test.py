"""The comparisons of methods ask for what they say."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from configs import METHODS, cluttered_digits
from dynsparse import costs, gates, models
from dynsparse.budgets import policies
from dynsparse.gates import evaluating
from dynsparse.launching.experiment import load_sweep
from dynsparse.training.prepare import gate_section
from experiments import digits, gate_comparison
from tests.experiments.ablations_test import Made

EXAMPLE = jax.ShapeDtypeStruct((1, 28, 28, 1), np.float32)
COMPARISONS = (
    "gate_comparison",
    "granularity",
    "per_input_or_static",
    "token_choice",
)


@functools.cache
def trials_of(name, size):
    return load_sweep(f"experiments/{name}.py:{size}").trials()


def macs(config, **view):
    build = lambda: models.from_config(
        config["model"],
        gate=gate_section(config["gate"], policies.from_config(config["budget"])),
        scorer=config["scorer"],
        rngs=nnx.Rngs(0, gate=1),
        image_shape=(28, 28, 1),
        num_classes=10,
    )
    return costs.count_macs(evaluating(nnx.eval_shape(build), **view), EXAMPLE)


def dense_macs(**changes):
    config = cluttered_digits.get_config("dense").to_dict()
    return macs(config | dict(model=config["model"] | changes), execution="dense")


@pytest.mark.parametrize("budget", digits.NARROWER)
def test_the_narrower_networks_cost_what_the_budget_allows(budget):
    config = cluttered_digits.get_config("dense").to_dict()["model"]
    found = models.narrower(
        config,
        budget,
        example=EXAMPLE,
        image_shape=(28, 28, 1),
        num_classes=10,
    )
    assert found == config | digits.NARROWER[budget]


def test_a_small_sweep_is_small():
    trials = trials_of("gate_comparison", "small")
    assert len({trial.asked["method"] for trial in trials}) <= 8
    assert len({trial.asked["seed"] for trial in trials}) == 3
    assert len({trial.name for trial in trials}) == len(trials)


@pytest.mark.parametrize("name", COMPARISONS)
def test_dense_networks_of_every_width_run_in_every_seed(name):
    trials = trials_of(name, "full")
    widths = {48, *(widths["width"] for widths in digits.NARROWER.values())}
    found = {
        (trial.config["model"]["width"], trial.asked["seed"])
        for trial in trials
        if trial.config["gate"]["name"] == "dense"
    }
    assert found >= {(width, seed) for width in widths for seed in range(5)}


@pytest.mark.parametrize("name", COMPARISONS)
def test_baselines_of_any_budget_have_every_eighth(name):
    trials = trials_of(name, "full")
    fixed = ("static", "random", "random_topk", "magnitude", "evenly_spaced")
    for trial in trials:
        gate = trial.config["gate"]["name"]
        if trial.asked["setting"].startswith("budget"):
            continue  # trained at that density alone
        if trial.asked["method"] in fixed and gates.find(gate).count == "fixed":
            assert trial.config["evaluation"]["densities"] == list(digits.EIGHTHS)


def is_learned_and_held(method):
    config = cluttered_digits.get_config(method)
    gate = gates.find(config.gate.name)
    if gate.random or method == "hard_topk" or config.scorer.name != "mlp":
        return False
    varies = gate.count == "varying" and not gate.competes
    return varies or issubclass(gate, gates.TopkGate)


def test_every_learned_gate_that_can_be_held_at_a_budget_is_judged():
    trials = trials_of("gate_comparison", "full")
    others = {*digits.BASELINES, *gate_comparison.UNLEARNED["full"]}
    assert {trial.asked["method"] for trial in trials} - others == {
        name for name in METHODS if is_learned_and_held(name)
    }


@pytest.mark.parametrize("size", ["small", "full"])
def test_controls_of_one_budget_reach_every_gate_that_is_held_there(size):
    trials = trials_of("gate_comparison", size)
    held = [t for t in trials if t.asked["setting"].startswith("budget")]
    budgets = sorted(float(t.asked["setting"].split()[1]) for t in held)
    for name in ("random", "static"):
        spent = [
            macs(t.config, execution="compact", density=density) / dense_macs()
            for t in held
            if t.asked["method"] == name and t.asked["seed"] == 0
            for density in [t.config["budget"]["density"]]
        ]
        assert min(spent) < 0.98 * budgets[0]
        assert 1.02 * budgets[-1] < max(spent)


def reported(number):
    """The report of the first trials of the small sweep, made up."""
    trials = trials_of("gate_comparison", "small")
    rows = [row for trial in trials[:number] for row in Made(trial).rows(None)]
    return gate_comparison.report(rows)


def test_gates_are_compared_with_those_that_train_alike():
    report = reported(None)
    assert {row["trained"] for row in report.rows} == {
        "once for all budgets",
        "for each budget",
    }
    text = "\n".join(report.notes)
    for reference, other in (
        ("soft_topk", "gumbel_topk"),
        ("gumbel_sigmoid", "hard_concrete"),
    ):
        _, _, after = text.partition(f"{reference}, mean accuracy minus")
        assert after.partition("- against ")[2].startswith(other)


@pytest.mark.parametrize("number", [5, 8])
def test_a_sweep_that_is_not_finished_has_a_report(number):
    assert "Narrower networks train" in "\n".join(reported(number).notes)


@pytest.fixture(scope="module")
def blocks():
    """Configs of the trials over blocks, by method and the budget or depth."""
    return {
        (trial.asked["method"], trial.asked["setting"].split()[-1]): trial.config
        for trial in trials_of("per_input_or_static", "full")
        if trial.asked["setting"].startswith("blocks")
    }


def test_static_pruning_of_blocks_is_a_shallower_dense_network(blocks):
    static = [config for (method, _), config in blocks.items() if method == "static"]
    assert [config["model"]["depth"] for config in static] == [1, 2]
    assert all(config["gate"]["name"] == "dense" for config in static)


def test_random_blocks_cost_the_budget(blocks):
    whole, one, two = (dense_macs(depth=depth) for depth in (3, 1, 2))
    floor = (2 * one - two) / whole
    for budget in ("0.35", "0.55", "0.75"):
        density = blocks["random", budget]["budget"]["density"]
        spent = floor + (1 - floor) * density
        np.testing.assert_allclose(spent, float(budget), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "most"), [("gate_comparison", 260), ("per_input_or_static", 100)]
)
def test_a_full_sweep_can_be_run(name, most):
    assert len(trials_of(name, "full")) <= most
