"""The serving experiment, for three seconds and on an untrained model."""

import functools

import pytest

from experiments import serving


@functools.cache
def rows(load):
    return serving.measure(load=load, small=True)


def test_every_rung_is_described():
    found = rows("none")
    budgets = [row["budget"] for row in found]
    assert budgets == sorted(budgets)
    assert all(row["cpu_s_per_1000"] > 0 and row["peak_mb"] > 0 for row in found)


@pytest.mark.parametrize("load", ["spike", "competition"])
def test_every_policy_has_every_phase(load):
    found = rows(load)
    assert all(tuple(row) == serving.FIELDS for row in found)
    policies = {row["policy"] for row in found}
    assert "controller" in policies
    assert len(policies) == len(rows("none")) + 1
    assert len(found) == 5 * len(policies)
    during = [row for row in found if row["phase"] == "during"]
    assert all(row["requests"] > 0 for row in during)
