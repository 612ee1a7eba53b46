"""Areas at equal costs: of MACs and of time."""

import pytest

from dynsparse import reports


def row(method, seed, macs, time, accuracy):
    return dict(
        method=method,
        setting="any",
        seed=seed,
        macs_mean=macs,
        macs_dense=100,
        latency_ms=time,
        latency_dense_ms=10.0,
        accuracy=accuracy,
    )


ROWS = [
    row("slow", 0, 20, 6.0, 0.5),
    row("slow", 0, 60, 10.0, 0.9),
    row("fast", 0, 20, 2.0, 0.5),
    row("fast", 0, 60, 8.0, 0.8),
    row("dense", 0, 100, 10.0, 0.9),
]


@pytest.mark.parametrize(
    ("cost", "where", "slow", "fast"),
    [
        ("macs", "from 0.200 to 0.600", "70.00", "65.00"),
        ("time", "from 0.600 to 0.800", "60.00", "75.00"),  # they swap places
    ],
)
def test_areas_by_hand(cost, where, slow, fast):
    words, table = reports.areas(reports.read_points(ROWS), cost)
    assert where in words
    assert f"| slow | {slow} | 1 |" in table
    assert f"| fast | {fast} | 1 |" in table
    assert "dense" not in table


def test_no_common_cost_is_said():
    (words,) = reports.areas(
        reports.read_points(
            ROWS[:2]
            + [ROWS[4]] * 1
            + [row("other", 0, 70, 1.0, 0.5), row("other", 0, 90, 2.0, 0.6)]
        ),
        "time",
    )
    assert words.startswith("No area against time of a batch")
