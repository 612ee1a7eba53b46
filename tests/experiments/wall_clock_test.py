"""The wall-clock experiment, on a model that is small enough to test."""

import numpy as np
import pytest

from experiments import wall_clock

TINY = dict(name="conv_vit", width=8, depth=2, num_heads=2, mlp_width=8)

SCORER = dict(name="mlp", hidden=4)


def measure(**trial):
    return wall_clock.measure(
        **trial
        | dict(batch=8, model=TINY, scorer=SCORER, image_shape=(12, 16, 3), repeats=1)
    )


@pytest.fixture(scope="module")
def rows():
    tokens = dict(granularity="tokens", gate=wall_clock.SOFT_TOPK, density=0.5)
    blocks = dict(granularity="blocks", gate=wall_clock.GUMBEL, density=None)
    return [measure(**tokens), measure(**blocks)]


def test_both_executions_of_what_is_timed_agree(rows):
    assert max(row["largest_difference"] for row in rows) < 1e-5


def test_half_is_open(rows):
    np.testing.assert_array_equal([row["density"] for row in rows], 0.5)
    assert all(0.5 < row["macs_ratio"] < 0.8 for row in rows)


def test_efficiency_is_work_over_time(rows):
    for row in wall_clock.report(rows).rows:
        np.testing.assert_allclose(
            row["efficiency"], row["macs_ratio"] / row["time_ratio"]
        )


def test_the_sweep_holds_both_granularities_at_half():
    trials = []
    wall_clock.sweep(lambda **trial: trials.append(trial))
    assert ("tokens", 0.5, 64) in {
        (t["granularity"], t["density"], t["batch"]) for t in trials
    }
    assert any(t["granularity"] == "blocks" and t["density"] is None for t in trials)
