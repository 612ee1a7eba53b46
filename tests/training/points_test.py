"""The points of a curve: what was asked for and what budgets buy, none twice."""

import dataclasses

import numpy as np
import pytest

from dynsparse import costs, training
from dynsparse.training.prepare import find_densities
from tests.training import tiny


@pytest.fixture(scope="module")
def experiment():
    return training.prepare(tiny.config("soft_topk"))


def test_densities_are_those_asked_for_and_the_one_the_budget_buys(experiment):
    first, bought, last = experiment.densities
    assert (first, last) == (1.0, 0.25)
    prices, units = experiment.prices, 49
    used = prices.used({"body": np.array([round(bought * units)])})[0]
    assert 0.66 * prices.dense < used <= 0.7 * prices.dense


def test_no_point_opens_what_another_one_opens(experiment):
    prices, settings = experiment.prices, experiment.settings
    model = experiment.trainer.model(experiment.initial_state)
    asked = 0.5  # opens as many of the 49 tokens as the density that its cost buys
    budget = costs.budget_of(prices, asked) + 1e-6
    assert costs.largest_density(prices, budget) != asked
    points = dataclasses.replace(
        settings.evaluation, densities=(asked,), budgets=(budget,)
    )
    both = dataclasses.replace(settings, evaluation=points)
    assert find_densities(model, prices, both) == (asked,)
