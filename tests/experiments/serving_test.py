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


@pytest.mark.parametrize(
    ("in_time", "said"),
    [
        ({"rung 0": 1.0, "rung 1": 0.96, "rung 2": 0.94}, "deadlines is rung 1: accu"),
        ({"rung 0": 0.9, "rung 1": 0.94, "rung 2": 0.5}, "No single rung holds"),
    ],
)
def test_the_report_names_the_single_rung_that_would_do(in_time, said):
    found = [*rows("none"), *rows("spike"), *rows("competition")]
    told = []
    for row in found:
        share, phase = in_time.get(row["policy"]), row["phase"]
        if row["load"] == "spike" and share is not None:
            right = 0.5 + 0.1 * int(row["policy"].removeprefix("rung "))
            row = row | dict(in_time=share if phase == "during" else 1, accuracy=right)
        told.append(row)
    assert any(said in note for note in serving.report(told).notes)
