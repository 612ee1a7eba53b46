"""Figures and tables from files alone."""

import csv
import io

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from dynsparse import reports
from dynsparse.reports import figures, run_tables


def row(density, accuracy):
    macs = 1e6 * (0.2 + 0.8 * density)
    return dict(
        density=density,
        budget=macs / 1e6,
        flops_mean=2 * macs,
        macs_mean=macs,
        macs_p95=macs,
        macs_dense=1e6,
        score=accuracy,
        latency_ms=10 * macs / 1e6,
        latency_dense_ms=10.0,
    )


@pytest.fixture
def run(tmp_path):
    with (tmp_path / "curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, reports.FIELDS)
        writer.writeheader()
        writer.writerows([row(0.25, 0.8), row(1.0, 0.95)])
    return tmp_path


def test_curve_is_read_back_from_dense_to_sparse(run):
    assert reports.read_curve(run) == [row(1.0, 0.95), row(0.25, 0.8)]


def test_curve_is_drawn(run):
    image = matplotlib.image.imread(reports.draw_curve(run, "title", reports.Metric()))
    assert image.shape[0] > 300
    assert image[..., :3].std() > 0.05


@pytest.mark.parametrize("again", [0.8, 0.95, 1.15])
def test_a_busy_machine_is_said_in_the_table(again):
    point = row(0.5, 0.9) | dict(time_ratio=0.6, time_ratio_q1=0.5, time_ratio_q3=0.7)
    point |= dict(dense_again=again, recovery={})
    sizes = dict(
        metric=reports.Metric()._asdict(),
        batch_size=64,
        macs_dense=1_000_000,
        macs_floor=200_000,
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(run_tables.curve_table(dict(title="a run", curve=[point], **sizes)))
    text = console.export_text()
    assert "0.60 (0.50-0.70)" in text
    assert (reports.BUSY in text) == (again != 0.95)


def test_the_network_with_all_gates_open_has_a_row_and_a_name(run, monkeypatch):
    point = row(0.5, 0.9) | dict(recovery={})
    sizes = dict(
        metric=reports.Metric()._asdict(),
        batch_size=64,
        macs_dense=1_000_000,
        macs_floor=200_000,
    )
    result = dict(title="a run", curve=[point], everything_open=0.9375, **sizes)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(run_tables.curve_table(result))
    (line,) = (one for one in console.export_text().splitlines() if "open*" in one)
    assert line.split() == ["open*", "1.000", "1.000", "93.75", "1.00"]
    drawn = []
    monkeypatch.setattr(figures, "_polish", drawn.append)
    reports.draw_curve(run, "title", reports.Metric(), dense_score=0.9375)
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert "same network, all gates open: 93.8 %" in texts


def test_the_y_axis_fits_what_is_drawn(run, monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "_polish", drawn.append)
    reports.draw_curve(run, "title", reports.Metric(), dense_score=0.97)
    low, high = drawn[0].axes[0].get_ylim()
    assert 76 < low < 80
    assert 97 < high < 100


def test_closed_patches_are_dark_and_open_ones_are_not(tmp_path):
    masks = np.zeros((1, 1, 2, 2), bool)
    masks[0, 0, 0, 0] = True
    np.savez(
        tmp_path / "kept.npz",
        images=np.full((1, 8, 8, 1), 255, np.uint8),
        patch=4,
        labels=[3],
        densities=[0.25],
        predictions=[[3]],
        masks=masks,
    )
    image = matplotlib.image.imread(reports.draw_kept(tmp_path))[..., :3]
    share = lambda low, high: ((image > low) & (image < high)).all(-1).mean()
    dark, white = share(0.2, 0.3), share(0.99, 1.01)
    tinted = ((image[..., 0] > 0.9) & (image[..., 2] < 0.8)).mean()
    np.testing.assert_allclose(
        dark / tinted, 3, rtol=0.15
    )  # the patches have soft edges
    assert white > tinted


@pytest.mark.parametrize("recovery", [False, True])
def test_table_shows_every_point_within_80_columns(recovery):
    quartiles = dict(time_ratio=1.1, time_ratio_q1=1.03, time_ratio_q3=1.18)
    found = dict(precision=0.8, recall=0.7, random_precision=0.3, random_recall=0.2)
    result = dict(
        title="a run",
        batch_size=64,
        macs_dense=1_000_000,
        macs_floor=200_000,
        metric=reports.Metric()._asdict(),
        curve=[
            row(d, 0.9)
            | quartiles
            | dict(recovery=dict(body=found) if recovery else {}, layers={})
            for d in (1.0, 0.25)
        ],
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(run_tables.curve_table(result))
    text = console.export_text()
    assert "…" not in text
    for word in ("1.000", "0.250", "90.00", "20.0%"):
        assert word in text
    assert ("80.0" in text) == ("precision" in text) == recovery
