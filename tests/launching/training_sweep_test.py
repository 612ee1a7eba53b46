"""A sweep of training runs: stopped, resumed, and the same as a run alone."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from dynsparse import reports

pytestmark = pytest.mark.system
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep that was stopped in the middle of its one run, and gone on with."""
    folder = tmp_path_factory.mktemp("sweeps") / "digits [1]"
    command = [sys.executable, "launch.py", "sweep", "tests/launching/tiny_digits.py"]
    command += [f"--workdir={folder}"]
    quick = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=quick, stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    size = lambda: sum(p.stat().st_size for p in folder.glob("*/*/*/metrics.jsonl"))
    while not size() and time.monotonic() < end:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped   random_topk/tiny/1-" in printed
    assert not list(folder.glob("*/*/*/result.json"))
    assert subprocess.run(command, cwd=ROOT, env=quick).returncode == 0
    return folder


def test_a_stopped_run_resumes_from_its_checkpoint(swept):
    (run,) = swept.glob("random_topk/tiny/1-*")
    log = (run / "log.txt").read_text()
    assert "stopped at step" in log
    assert "resumed from step" in log
    rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert [r["step"] for r in rows if r["split"] == "train"] == [*range(1, 201)]


def test_rows_are_the_curve_of_the_run_and_of_its_metrics(swept):
    (run,) = swept.glob("random_topk/tiny/1-*")
    with (swept / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    curve = reports.read_curve(run)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    points = [row for row in logged if row["split"] == "curve"]
    assert points == [dict(step=200, split="curve") | point for point in curve]
    assert len(rows) == len(curve)
    for row, point in zip(rows, curve, strict=True):
        assert row["trial"] == f"random_topk/tiny/{run.name}"
        assert {key: float(row[key]) for key in point} == point
        assert row["step"] == "200"  # what `examine` saw
    report = (swept / "report.md").read_text()
    assert "on cpu (" in report
    assert list((swept / "_summary").glob("random_topk@kflops/events*"))
