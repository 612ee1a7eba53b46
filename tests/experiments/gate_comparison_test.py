"""The comparisons of methods ask for what they say."""

import jax
import numpy as np
import pytest

from configs import cluttered_digits
from dynsparse import models
from dynsparse.launching import sweep
from experiments import digits

COMPARISONS = (
    "gate_comparison",
    "granularity",
    "per_input_or_static",
    "token_choice",
)


@pytest.mark.parametrize("budget", digits.NARROWER)
def test_the_narrower_networks_cost_what_the_budget_allows(budget):
    config = cluttered_digits.get_config("dense").to_dict()["model"]
    found = models.narrower(
        config,
        budget,
        example=jax.ShapeDtypeStruct((1, 28, 28, 1), np.float32),
        image_shape=(28, 28, 1),
        num_classes=10,
    )
    assert found == config | digits.NARROWER[budget]


def test_a_small_sweep_is_small():
    experiment = sweep.Experiment.load("experiments/gate_comparison.py")
    trials = experiment.trials("small")
    assert len({trial.asked["method"] for trial in trials}) <= 8
    assert len({trial.asked["seed"] for trial in trials}) == 3
    assert len({trial.name for trial in trials}) == len(trials)


@pytest.mark.parametrize("name", COMPARISONS)
def test_dense_networks_of_every_width_run_in_every_seed(name):
    trials = sweep.Experiment.load(f"experiments/{name}.py").trials("full")
    widths = {48, *(widths["width"] for widths in digits.NARROWER.values())}
    found = {
        (trial.config["model"]["width"], trial.asked["seed"])
        for trial in trials
        if trial.config["gate"]["name"] == "dense"
    }
    assert found >= {(width, seed) for width in widths for seed in range(5)}
