"""What a load did: one number in the file, the table and the figure."""

import io
import random
import statistics

import numpy as np
import pytest
from rich.console import Console

from dynsparse import reports
from dynsparse.reports import figures
from dynsparse.reports.tables import write_csv

DEADLINE = 0.03


def outcome(draw, policy, budget, right):
    """A request: refused, late or in time."""
    row = dict(policy=policy, arrival=draw.uniform(0, 3), reason="as told")
    if draw.random() < 0.1:
        nothing = dict.fromkeys(("rung", "budget", "seconds", "right"))
        return row | nothing | dict(in_time=False, right_in_time=0.0)
    seconds = draw.uniform(0.2, 1.3) * DEADLINE
    in_time = seconds <= DEADLINE
    row |= dict(rung=int(10 * budget), budget=budget, seconds=seconds, right=right)
    return row | dict(in_time=in_time, right_in_time=right if in_time else 0.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("served"), random.Random(0)
    policies = {"controller": (0.5, 0.875), "rung 1": (0.9, 1.0), "rung 0": (0.1, 0.1)}
    rows = [
        outcome(draw, policy, *numbers) | dict(round=number)
        for policy, numbers in policies.items()
        for number in (0, 1, 2)
        for _ in range(60)
    ]
    write_csv(folder / "serving.csv", rows)
    return folder


def test_the_share_right_and_in_time_is_the_median_of_the_rounds(served):
    rows = reports.read_serving(served)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(reports.serving_table(rows, "a run"))
    text = console.export_text()
    assert "right, in time %" in text
    printed = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    for policy in ("controller", "rung 1", "rung 0"):
        shares = []
        for number in (0, 1, 2):
            some = [r for r in rows if (r["policy"], r["round"]) == (policy, number)]
            shares.append(100 * statistics.mean(r["right_in_time"] for r in some))
            expected = 100 * sum(r["right"] for r in some if r["in_time"]) / len(some)
            np.testing.assert_allclose(shares[-1], expected)
        low, middle, high = sorted(shares)
        assert printed[policy][-3:-1] == [f"{middle:.1f}", f"({low:.1f}-{high:.1f})"]


@pytest.mark.parametrize("in_time", [False, True])
def test_a_policy_whose_requests_are_all_alike_is_in_the_table(in_time):
    row = dict(policy="rung 0", rung=0, budget=0.5, right=0.5, in_time=in_time, round=0)
    row |= dict(right_in_time=0.5 if in_time else 0.0)
    table = reports.serving_table([row, row], "a run")
    shares = [next(iter(column.cells)) for column in table.columns]
    assert shares[2] == ("100.0" if in_time else "0.0")
    assert shares[5] == ("50.0" if in_time else "0.0")


def test_the_figure_names_rungs_by_what_they_spend(served, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "_polish", drawn.append)
    path = reports.draw_serving(served, "a run", DEADLINE)
    assert all(path.with_suffix(f".{end}").exists() for end in ("png", "svg", "pdf"))
    ticks = [label.get_text() for label in drawn[0].axes[-1].get_yticklabels()]
    assert ticks == ["rung 0: 0.10 of MACs", "rung 1: 0.90 of MACs", "controller"]
