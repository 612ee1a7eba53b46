"""The comparison of methods: its table, recomputed, and what its notes say."""

import json
import math
import statistics

import matplotlib.figure
import numpy as np
import pytest
from scipy import stats

from dynsparse import reports
from dynsparse.reports.stats import holm
from tests.reports import fake_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    fake_sweep.write_sweep(folder)
    return folder


@pytest.fixture(scope="module")
def report(sweep):
    return reports.compare_methods(fake_sweep.read_sweep(sweep))


def from_files(sweep, method, density, field):
    """By seed, straight from the metrics.jsonl of the runs."""
    found = []
    for seed in (0, 1, 2):
        path = sweep / method / "any" / str(seed) / "metrics.jsonl"
        rows = map(json.loads, path.read_text().splitlines())
        points = [row for row in rows if row["split"] == "curve"]
        (row,) = (row for row in points if row["density"] == density)
        found.append(row[field])
    return found


def place(report, method, density):
    """The row of report.csv and that of the table."""
    macs = 0.15 + 0.85 * density
    (index,) = (
        i
        for i, row in enumerate(report.rows)
        if row["method"] == method and abs(row["macs"].mean - macs) < 1e-6
    )
    return report.rows[index], report.table[index]


@pytest.mark.parametrize("density", fake_sweep.POINTS)
@pytest.mark.parametrize("method", ["soft_topk", "gumbel_sigmoid", "random_topk"])
def test_numbers_equal_a_recomputation_from_the_files_of_the_runs(
    sweep, report, method, density
):
    row, shown = place(report, method, density)
    accuracy = from_files(sweep, method, density, "accuracy")
    half = stats.t.ppf(0.975, 2) * stats.sem(accuracy)
    np.testing.assert_allclose(row["accuracy"].mean, statistics.mean(accuracy))
    np.testing.assert_allclose(row["accuracy"].half, half)
    assert shown["accuracy (%)"] == f"{100 * np.mean(accuracy):.2f} ± {100 * half:.2f}"
    time = from_files(sweep, method, density, "latency_ms")
    dense = from_files(sweep, method, density, "latency_dense_ms")
    np.testing.assert_allclose(
        row["time"].mean, np.mean(np.divide(time, dense)), rtol=1e-12
    )


@pytest.mark.parametrize("density", [0.75, 0.5, 0.25])
def test_differences_are_the_paired_t_test_at_equal_macs(sweep, report, density):
    row, _ = place(report, "soft_topk", density)
    mine, other = (
        from_files(sweep, method, density, "accuracy")
        for method in ("soft_topk", "random_topk")
    )
    assert row["baseline"] == "random_topk"
    np.testing.assert_allclose(row["difference"].mean, np.subtract(mine, other).mean())
    np.testing.assert_allclose(row["p"], stats.ttest_rel(mine, other).pvalue, rtol=1e-9)


@pytest.mark.parametrize("method", ["soft_topk", "gumbel_sigmoid"])
def test_p_is_corrected_over_the_points_of_a_method(report, method):
    tested = [r for r in report.rows if r["method"] == method and "p" in r]
    expected = holm([row["p"] for row in tested])
    assert [row["p_holm"] for row in tested] == expected
    assert expected != [row["p"] for row in tested]


def test_at_full_cost_the_best_baseline_is_the_better_one(sweep, report):
    row, _ = place(report, "soft_topk", 1.0)
    dense, random = (
        statistics.mean(from_files(sweep, method, 1.0, "accuracy"))
        for method in ("dense", "random_topk")
    )
    assert row["baseline"] == ("dense" if dense > random else "random_topk")


def test_notes_say_what_holds_what_is_missing_and_the_areas(sweep, report):
    text = "\n".join(report.notes)
    assert "- soft_topk: supported" in text
    assert "No static pruning (`static`) in this sweep." in text
    assert "No narrower dense network (`narrower`) in this sweep." in text
    assert "random gates" not in text
    assert "the seeds of training alone" in text
    areas = []
    for seed in (0, 1, 2):
        rows = reports.read_curve(sweep / "soft_topk/any" / str(seed))[::-1]
        costs, values = ([row[n] for row in rows] for n in ("budget", "accuracy"))
        areas.append(np.trapezoid(values, costs) / (costs[-1] - costs[0]))
    assert f"| soft_topk | {100 * np.mean(areas):.2f} ± " in text


def test_a_method_that_is_worse_contradicts(sweep):
    names = dict(soft_topk="the better one", dense="dense network")
    found = reports.compare_methods(fake_sweep.read_sweep(sweep), baselines=names)
    (line,) = (n for n in found.notes if "- random_topk" in n)
    assert "- random_topk: contradicted (worse at" in line


def test_one_seed_has_no_interval_and_decides_nothing(sweep):
    rows = [row for row in fake_sweep.read_sweep(sweep) if row["seed"] == 0]
    found = reports.compare_methods(rows)
    assert all(math.isnan(row["accuracy"].half) for row in found.rows)
    assert not any("±" in row["accuracy (%)"] for row in found.table)
    text = "\n".join(found.notes)
    assert "- soft_topk: inconclusive (undecided at" in text
    assert "decides nothing" in text
    figure = matplotlib.figure.Figure(layout="constrained")
    found.figure(figure)
    bars = [bar for axes in figure.axes for bar in axes.collections]
    assert not any(np.isfinite(bar.get_segments()).all() for bar in bars)


def narrow(seed, budget):
    """As a dense run of a narrower network reports itself: all of its own MACs."""
    used = budget * fake_sweep.DENSE
    costs = dict(macs_mean=used, macs_p95=used, macs_dense=used, flops_mean=2 * used)
    row = fake_sweep.points("dense", seed)[0] | costs
    place = dict(method="narrower", setting=f"{budget}", seed=seed, trial=f"n{budget}")
    times = dict(latency_ms=10.0 * budget, latency_dense_ms=10.0 * budget)
    return place | row | times | dict(budget=1.0, score=0.8 + 0.1 * budget)


def test_a_narrower_network_is_billed_as_a_fraction_of_the_full_one(sweep):
    rows = fake_sweep.read_sweep(sweep)
    rows += [narrow(seed, b) for seed in (0, 1, 2) for b in (0.25, 0.8)]
    found = reports.compare_methods(rows)
    costs = [row for row in found.rows if row["method"] == "narrower"]
    for name in ("macs", "time"):
        np.testing.assert_allclose([row[name].mean for row in costs], [0.8, 0.25])
    row, _ = place(found, "soft_topk", 0.25)  # read between 0.25 and 0.8
    assert row["baseline"] == "narrower"
    macs = row["macs"].mean
    np.testing.assert_allclose(
        row["accuracy"].mean - row["difference"].mean, 0.8 + 0.1 * macs
    )
    assert "smaller dense network" in "\n".join(found.notes)


def test_times_of_a_busy_machine_are_not_to_be_quoted(sweep):
    rows = fake_sweep.read_sweep(sweep)
    calm = reports.compare_methods([row | dict(dense_again=1.05) for row in rows])
    assert reports.BUSY not in str(calm.notes).lower()
    assert not any(row["busy"] for row in calm.rows)
    busy = [
        row | dict(dense_again=0.85 if (row["method"], row["seed"]) == at else 1.0)
        for at in [("soft_topk", 1)]
        for row in rows
    ]
    found = reports.compare_methods(busy)
    assert reports.BUSY in found.notes[0].lower()
    assert "in 1 of 12 trials" in found.notes[0]
    marked = {row["method"] for row in found.table if "(busy)" in row["time / dense"]}
    assert marked == {"soft_topk"}
    for report, told in ((calm, False), (found, True)):
        figure = matplotlib.figure.Figure(layout="constrained")
        report.figure(figure)
        assert (reports.BUSY in figure.axes[1].get_title()) == told


def test_two_trials_that_cannot_be_told_apart_are_named(sweep):
    rows = fake_sweep.read_sweep(sweep)
    again = [row | dict(trial="elsewhere") for row in rows[:1]]
    with pytest.raises(ValueError, match="two trials of dense, any have seed 0"):
        reports.compare_methods(rows + again)


def test_no_finished_trial_is_an_error():
    with pytest.raises(ValueError, match="at least one finished trial"):
        reports.compare_methods([])


def test_a_run_that_is_not_finished_is_left_out(tmp_path):
    fake_sweep.write_sweep(tmp_path, methods=["dense"])
    (tmp_path / "dense/any/1/result.json").unlink()
    assert [row["seed"] for row in fake_sweep.read_sweep(tmp_path)] == [0, 2]
