"""Means over the seeds of any numbers, in closed form, and in words."""

import math

import numpy as np

from dynsparse import reports

ROWS = [
    dict(gate="a", at=0.5, seed=seed, error=error, name="x")
    for seed, error in enumerate((0.1, 0.2, 0.6))
]
ROWS += [dict(gate="b", at=0.5, seed=0, error=-0.25, name="y")]


def test_rows_are_means_with_students_interval():
    several, one = reports.over_seeds(ROWS, ("gate", "at"), ("error",))
    assert (several["gate"], several["at"], several["seeds"]) == ("a", 0.5, 3)
    np.testing.assert_allclose(several["error_mean"], 0.3)
    half = 4.302653 * np.std((0.1, 0.2, 0.6), ddof=1) / math.sqrt(3)
    np.testing.assert_allclose(several["error_half"], half, rtol=1e-6)
    assert (one["gate"], one["seeds"], one["error_mean"]) == ("b", 1, -0.25)
    assert math.isnan(one["error_half"])


def test_words_have_the_interval_where_there_is_one():
    means = reports.over_seeds(ROWS, ("gate",), ("error",))
    several, one = reports.means_in_words(means, ("gate",), dict(error="+.2f"))
    assert several == dict(gate="a", error="+0.30 ± 0.66", seeds=3)
    assert one == dict(gate="b", error="-0.25", seeds=1)


def test_a_column_is_read_by_seed_at_its_place():
    assert reports.by_seed(ROWS, "error", gate="a") == {0: 0.1, 1: 0.2, 2: 0.6}
    assert reports.by_seed(ROWS, "error", gate="b", at=0.5) == {0: -0.25}
    assert reports.by_seed(ROWS, "error", gate="b", at=1.0) == {}
