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


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        ("macs", "- against fast over 0.200 to 0.600: better, +5.00 ± 0.00 points"),
        ("time", "- against fast over 0.600 to 0.800: worse, -15.00 ± 0.00 points"),
    ],
)
def test_area_differences_by_hand(cost, line):
    again = [found | dict(seed=1) for found in ROWS]
    for found in again:  # seeds differ, pairs do not
        found["accuracy"] -= 0.2
    points = reports.read_points([*ROWS, *again])
    _, lines = reports.area_differences(points, "slow", ["fast", "dense", "no"], cost)
    assert f"{line} (p by Holm: < 0.001)" in lines
    assert "- against dense: nothing in common" in lines
    assert "- against no: nothing in common" in lines


def test_a_pair_is_compared_where_a_third_does_not_reach():
    short = [row("short", 0, 20, 6.0, 0.5), row("short", 0, 30, 8.0, 0.6)]
    points = reports.read_points([*ROWS, *short])
    _, lines = reports.area_differences(points, "slow", ["fast", "short"])
    assert "- against fast over 0.200 to 0.600: undecided, +5.00 points" in lines
    assert "- against short over 0.200 to 0.300: undecided, +0.00 points" in lines


def test_area_differences_are_corrected_over_the_pairs():
    found, noise = [], (0.01, 0.011, 0.012)
    for seed, gap in enumerate(noise):
        for method, lost in dict(mine=0.0, a=gap, b=gap, c=gap).items():
            found += [row(method, seed, m, m, 0.8 - lost) for m in (20, 100)]
    points = reports.read_points(found)
    p = reports.paired_difference(
        dict(enumerate(noise)), dict.fromkeys(range(3), 0.0)
    ).p
    for others in (["a"], ["a", "b", "c"]):
        _, lines = reports.area_differences(points, "mine", others)
        assert f"(p by Holm: {len(others) * p:.3f})" in lines
