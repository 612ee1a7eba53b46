"""The figure of a comparison: what is drawn, and how far its axes reach."""

import matplotlib.colors
import matplotlib.figure
import numpy as np
import pytest

from dynsparse import reports
from dynsparse.reports import figures, tradeoff
from tests.reports import fake_sweep


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    fake_sweep.write_sweep(folder)
    return fake_sweep.read_sweep(folder)


@pytest.fixture(scope="module")
def report(rows):
    return reports.compare_methods(rows)


def panels(report):
    figure = matplotlib.figure.Figure(layout="constrained")
    report.figure(figure)
    return figure.axes


def test_every_seed_of_every_point_is_drawn(report):
    for axes in panels(report):
        small = [line for line in axes.lines if line.get_markersize() == 3]
        assert sum(len(line.get_xdata()) for line in small) == 3 * len(report.rows)
        means = [bars.lines[0] for bars in axes.containers]
        assert sum(len(line.get_xdata()) for line in means) == len(report.rows)


def test_methods_differ_in_grey_and_baselines_have_no_colour(report):
    bars = panels(report)[0].containers
    lines = {drawn.get_label(): drawn.lines[0] for drawn in bars}
    named = [lines[name] for name in fake_sweep.ACCURACY]
    assert len({line.get_marker() for line in named}) == len(named)
    colours = [
        matplotlib.colors.to_rgb(lines[n].get_color())
        for n in lines
        if n in ("dense", "random_topk")
    ]
    assert all(len(set(colour)) == 1 for colour in colours)


def test_axes_reach_over_the_seeds_however_wide_a_bar_is(rows):
    wild = [
        row | dict(score=0.5 if row["seed"] else 0.7, latency_ms=9.0 + row["seed"])
        for row in rows
        if row["seed"] < 2
    ]
    left, right = panels(reports.compare_methods(wild))
    (bar,) = left.containers[0].lines[2]  # of the dense network
    assert np.ptp(bar.get_segments()[0][:, 1]) > 1
    low, high = left.get_ylim()
    assert 0.45 < low < 0.50
    assert 0.70 < high < 0.75
    assert right.get_ylim()[0] == 0


def test_many_methods_have_a_row_each_from_the_best_to_the_worst(rows):
    one = [row for row in rows if row["method"] == "soft_topk"]
    many = [
        row | dict(method=f"m{rank}", score=row["score"] - rank / 100)
        for rank in range(9)
        for row in one
    ]
    many += [row for row in rows if row["method"] == "dense"]
    figure = matplotlib.figure.Figure(layout="constrained")
    reports.compare_methods(many, group=_not_dense, by="kind").figure(figure)
    (part,) = figure.subfigs
    left, right, ranking = part.axes
    assert figure.get_figwidth() == 15
    names = [label.get_text() for label in ranking.get_yticklabels()]
    assert names == [f"m{rank}" for rank in reversed(range(9))]
    areas = tradeoff.areas_by_method(reports.read_points(many))[1]
    for interval, bars in zip(
        [areas[name] for name in names], ranking.containers, strict=True
    ):
        (mean,), (low, high) = bars[0].get_xdata(), bars[2][0].get_segments()[0][:, 0]
        np.testing.assert_allclose(mean, interval.mean)
        np.testing.assert_allclose((high - low) / 2, interval.half)
    for axes in (left, right):
        assert not any(bars.has_yerr for bars in axes.containers)
    coloured = {line.get_color() for line in left.lines} - {"0.0", figures.PALE}
    assert len(coloured) == 8
    assert ranking.containers[0].lines[0].get_color() == figures.PALE  # of the worst


def _not_dense(row):
    return None if row["method"] == "dense" else "gates"
