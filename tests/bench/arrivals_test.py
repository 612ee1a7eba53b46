"""Arrival times, against the load profile that they are drawn from."""

import numpy as np
import pytest

from dynsparse.bench.arrivals import PROFILES, arrivals


@pytest.mark.parametrize("name", PROFILES)
def test_arrivals_follow_their_profile(name):
    """Counts of each tenth of the time, within four standard deviations."""
    profile = PROFILES[name]
    times = arrivals(profile, capacity=500.0, seconds=100.0, seed=3)
    assert (np.diff(times) >= 0).all()
    np.testing.assert_array_equal(
        times, arrivals(profile, capacity=500.0, seconds=100.0, seed=3)
    )
    counts, edges = np.histogram(times, np.linspace(0, 100, 11))
    for count, start in zip(counts, edges, strict=False):
        grid = np.linspace(start, start + 10, 1001) / 100
        expected = 500 * 10 * np.mean([profile(t) for t in grid[:-1]])
        assert abs(count - expected) <= 4 * expected**0.5 + 10
