"""The experiments that train, on a few pictures; and what they make of rows."""

import math

import numpy as np
import pytest

from experiments import any_budget, reaching_the_target
from tests.experiments.trials import trials_of


@pytest.mark.parametrize("trial", trials_of(reaching_the_target)[::3][:2])
def test_reaching_the_target_measures_what_was_spent(trial):
    row = reaching_the_target.measure(**trial | dict(small=True))
    np.testing.assert_allclose(row["error"], row["spent"] / row["target"] - 1)
    assert 0 < row["spent"] <= 1.1


@pytest.mark.parametrize("trained_at", [None, 0.25])
def test_any_budget_has_a_row_per_density(trained_at):
    rows = any_budget.measure(
        network="conv_vit", trained_at=trained_at, seed=0, small=True
    )
    asked = any_budget.DENSITIES["conv_vit"] if trained_at is None else (trained_at,)
    assert [row["density"] for row in rows] == sorted(asked, reverse=True)
    assert all(0 <= row["accuracy"] <= 1 for row in rows)


def test_differences_are_paired_by_seed():
    gaps = (0.01, 0.02, 0.06)
    rows = []
    for seed, gap in enumerate(gaps):
        base = dict(density=0.5, seed=seed, budget=0.5)
        rows.append(base | dict(model="any budget", accuracy=0.1 * seed + gap))
        rows.append(base | dict(model="one density", accuracy=0.1 * seed))
    found = any_budget.differences(rows)[0.5]
    np.testing.assert_allclose(found.mean, 0.03)
    error = np.std(gaps, ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(found.half, 4.303 * error, rtol=1e-3)
    assert math.isnan(any_budget.differences(rows[:2])[0.5].half)
