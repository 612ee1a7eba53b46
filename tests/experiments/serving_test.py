"""The serving experiment, for three seconds and on an untrained model."""

import pytest

from dynsparse import training
from dynsparse.launching.experiment import load_sweep
from experiments import serving


@pytest.fixture(scope="module")
def rows():
    (trial,) = load_sweep("experiments/serving.py:small").trials()
    data = trial.config["data"] | dict(num_train=64, num_validation=20, num_test=128)
    prepared = training.prepare(trial.config | dict(data=data))
    return serving.examine(prepared, prepared.initial_state, [])


@pytest.mark.system
def test_every_rung_is_described(rows):
    found = [row for row in rows if row["load"] == "none"]
    budgets = [row["budget"] for row in found]
    assert budgets == sorted(budgets)
    assert all(row["cpu_s_per_1000"] > 0 and row["peak_mb"] > 0 for row in found)


@pytest.mark.system
@pytest.mark.parametrize("load", ["spike", "competition"])
def test_every_policy_has_every_phase(load, rows):
    assert all(tuple(row) == serving.FIELDS for row in rows)
    found = [row for row in rows if row["load"] == load]
    policies = {row["policy"] for row in found}
    rungs = {row["policy"] for row in rows if row["load"] == "none"}
    assert policies == {"controller", *rungs}
    assert len(found) == 5 * len(policies)
    during = [row for row in found if row["phase"] == "during"]
    assert all(row["requests"] > 0 for row in during)


@pytest.mark.parametrize(
    ("in_time", "controller", "said"),
    [
        ({"rung 0": 1.0, "rung 1": 0.96}, 0.604, "A single rung does as well: rung 1,"),
        ({"rung 0": 1.0, "rung 1": 0.96}, 0.606, "rung does not do as well: rung 1,"),
        ({"rung 0": 1.0, "rung 1": 0.94}, 0.606, "rung does not do as well: rung 0,"),
        ({"rung 0": 0.9, "rung 1": 0.94}, 0.606, "No single rung holds"),
    ],
)
def test_the_report_says_whether_a_single_rung_does_as_well(in_time, controller, said):
    base = dict.fromkeys(serving.FIELDS)
    found = [
        base | dict(load="none", policy=rung, idle_ms=1.0, score=0.5)
        for rung in in_time
    ]
    found += [
        base
        | dict(load=load, policy=policy, phase=phase, score=right)
        | dict(in_time=in_time.get(policy, 1.0) if phase == "during" else 1.0)
        for policy, right in {
            "rung 0": 0.5,
            "rung 1": 0.6,
            "controller": controller,
        }.items()
        for load in ("spike", "competition")
        for phase in ("before", "during", "after_1_s", "after_2_s")
    ]
    assert any(said in note for note in serving.report(found).notes)
