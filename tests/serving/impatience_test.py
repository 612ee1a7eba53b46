"""The queue with impatient requests, against closed forms and a long replay."""

import numpy as np
import pytest

from dynsparse.serving.impatience import Queue


def simulated(load, patience, variation, number=200_000, seed=0):
    """Share that finds more than `patience` of work, by Lindley's recursion."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / load, number)
    shape = 1 / max(variation, 1e-9)
    passes = rng.gamma(shape, 1 / shape, number) if variation else np.ones(number)
    work, lost = 0.0, 0
    for gap, one in zip(gaps, passes, strict=True):
        work = max(work - gap, 0.0)
        if work > patience:
            lost += 1
        else:
            work += one
    return lost / number


@pytest.mark.parametrize("load", [0.3, 0.9, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("patience", [0.0, 1.0, 6.0])
def test_exponential_passes_lose_what_a_long_replay_loses(load, patience):
    expected = simulated(load, patience, variation=1.0)
    found = Queue(load, 1.0, patience, variation=1.0).lost()
    assert found == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("variation", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("load", [0.5, 1.0, 2.0])
def test_where_nobody_waits_the_kind_of_pass_does_not_matter(load, variation):
    """Erlang's formula for one server."""
    found = Queue(load, 0.1, 0.0, variation).lost()
    assert found == pytest.approx(load / (1 + load))


@pytest.mark.parametrize("variation", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("load", [0.4, 0.8, 1.0, 1.2])
@pytest.mark.parametrize("patience", [3.0, 10.0])
def test_other_passes_lose_about_what_a_long_replay_loses(load, patience, variation):
    expected = simulated(load, patience, variation)
    found = Queue(load, 1.0, patience, variation).lost()
    assert found == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("variation", [0.0, 0.01, 1.0, 4.0])
@pytest.mark.parametrize("load", [0.1, 0.5, 0.999, 1.001, 3.0])
def test_the_exponent_keeps_the_mean_of_the_walk(load, variation):
    x = 0.25 * Queue(load, 0.25, 1.0, variation).exponent
    inner = 1 - variation * x
    grown = inner ** (-1 / variation) if variation else np.exp(x)
    assert x * (1 - load) > 0
    np.testing.assert_allclose(load * (grown - 1), x, rtol=1e-6)


@pytest.mark.parametrize("far", [2e-5, 1e-4])
def test_nothing_jumps_where_the_load_is_one(far):
    below, at, above = (Queue(1 + x, 2.0, 7.0, 0.3) for x in (-far, 0.0, far))
    assert below.lost() < at.lost() < above.lost()
    np.testing.assert_allclose([below.lost(), above.lost()], at.lost(), rtol=20 * far)
    values = [q.to_be_lost(3.0) for q in (below, at, above)]
    np.testing.assert_allclose(values, values[1], rtol=20 * far)


@pytest.mark.parametrize("load", [0.5, 0.99, 1.0, 1.3])
@pytest.mark.parametrize("seconds", [0.02, 5.0])
def test_the_slope_is_the_chance_that_the_work_outgrows_the_patience(load, seconds):
    queue = Queue(load, seconds, 8 * seconds, 0.4)
    step = 1e-4 * seconds
    for work in (0.5 * seconds, 3 * seconds, 7.9 * seconds):
        slope = queue.to_be_lost(work + step) - queue.to_be_lost(work - step)
        drift = queue.exponent
        reached = (
            np.expm1(drift * work) / np.expm1(drift * queue.patience)
            if load != 1
            else work / queue.patience
        )
        np.testing.assert_allclose(slope / (2 * step) * seconds, reached, rtol=1e-5)


@pytest.mark.parametrize("load", [1e-3, 1.0, 50.0, 1e4])
@pytest.mark.parametrize("patience", [0.0, 1e-9, 1e5])
def test_values_stay_finite_at_the_ends(load, patience):
    queue = Queue(load, 0.01, patience)
    assert 0 <= queue.lost() <= 1
    costs = [queue.to_be_lost(work) for work in (0.0, 1e-9, 1.0, 1e6)]
    assert np.isfinite(costs).all()
    assert (np.diff(costs) >= 0).all()


def test_work_beyond_the_patience_loses_one_request_for_each_pass():
    queue = Queue(0.7, 0.5, 2.0)
    assert queue.to_be_lost(5.0) - queue.to_be_lost(4.0) == pytest.approx(2.0)
