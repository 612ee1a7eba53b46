"""The wall-clock experiment, on networks that are small enough to test."""

import jax
import matplotlib.figure
import numpy as np
import pytest
from flax import nnx

from dynsparse import costs
from experiments import wall_clock
from experiments.networks import gated
from tests.sampled import sampled

FIELDS = ("density", "macs_ratio", "time_ratio", "time_ratio_q1", "time_ratio_q3")
FIELDS += ("dense_again", "efficiency")


@pytest.fixture(scope="module", params=sampled(["exits", "features"], ["exits"]))
def rows(request):
    return wall_clock.measure(granularity=request.param, batch=8, small=True, repeats=1)


def test_densities_are_what_was_asked(rows):
    found = [row["density"] for row in rows]
    np.testing.assert_allclose(found, wall_clock.DENSITIES)
    assert [row["macs_ratio"] for row in rows] == sorted(
        row["macs_ratio"] for row in rows
    )


def test_efficiency_is_work_over_time(rows):
    for row in rows:
        expected = row["macs_ratio"] / row["time_ratio"]
        np.testing.assert_allclose(row["efficiency"], expected)


@pytest.mark.parametrize("granularity", ["channels", "features", "heads", "positions"])
def test_nine_tenths_of_the_macs_lie_in_gated_layers(granularity):
    rngs, gate = nnx.Rngs(params=0, gate=1), wall_clock.GATES[granularity]
    network, draw = gated.build(granularity, gate, rngs, small=False)
    prices = costs.Prices(network, draw(jax.random.key(0), 1))
    inside = sum(part.closed for part in prices.parts.values())
    assert inside >= 0.9 * prices.dense


@pytest.mark.parametrize(
    ("points", "density"),
    [
        ([(0.25, 0.5), (0.5, 0.8), (0.75, 1.2), (1.0, 1.0)], 0.625),
        ([(0.25, 0.5), (0.5, 0.8), (0.75, 0.9), (1.0, 1.0)], 1.0),
        ([(0.25, 1.5), (0.5, 1.8), (0.75, 1.9), (1.0, 1.0)], 0.0),
    ],
)
def test_break_even_is_where_the_time_crosses_the_dense_one(points, density):
    np.testing.assert_allclose(wall_clock.crossing(points), density)


def test_the_report_names_every_granularity_and_batch_that_fails():
    base = dict.fromkeys(FIELDS, 1.0)
    rows = [
        base
        | dict(granularity=name, batch=batch, density=macs, macs_ratio=macs)
        | dict(time_ratio=macs / efficiency, efficiency=efficiency)
        for name, batch, macs, efficiency in [
            ("tokens", 64, 0.25, 1.1),
            ("tokens", 64, 0.5, 0.8),
            ("heads", 64, 0.25, 0.9),
            ("heads", 64, 0.75, 0.76),
            ("heads", 1, 0.25, 0.4),
            ("heads", 1, 0.75, 0.5),
            ("heads", 1, 1.0, 0.1),
        ]
    ]
    assert wall_clock.report(rows).notes[-1].splitlines() == [
        "- batch 64: supported for tokens; contradicted for heads (0.76).",
        "- batch 1: supported for none; contradicted for heads (0.40; slower at 0.75).",
    ]


@pytest.mark.parametrize("again", [0.85, 1.05])
def test_the_report_and_its_figure_name_what_a_busy_machine_timed(again):
    row = dict.fromkeys(FIELDS, 0.5) | dict(gate="soft_topk", batch=64)
    row |= dict(granularity="tokens", dense_again=1.0)
    busy = row | dict(granularity="heads", dense_again=again)
    report = wall_clock.report([row, busy])
    figure = matplotlib.figure.Figure(layout="constrained")
    report.figure(figure)
    told = again == 0.85
    assert (
        any("do not quote" in n and "heads, batch 64 (0.85)" in n for n in report.notes)
        == told
    )
    assert ("do not quote" in figure.get_suptitle()) == told
    assert report.table[0]["time_ratio"] == "0.500 (0.500-0.500)"


def test_the_sweep_holds_every_granularity_and_batch():
    trials = []
    wall_clock.sweep(lambda **trial: trials.append(trial), "full")
    assert {(t["granularity"], t["batch"]) for t in trials} == {
        (name, batch) for name in wall_clock.GRANULARITIES for batch in (1, 64)
    }
    assert set(wall_clock.DENSITIES) == {0.125, 0.25, 0.5, 0.75, 1.0}
