"""Loose runs, compared as the runs of a sweep."""

import pytest

from dynsparse import reports
from tests.reports import fake_sweep


def write_run(path, method, model="conv_vit", seed=0):
    names = dict(method=method, model=model, budget="own")
    fake_sweep.write_run(path, "soft_topk", seed=seed, names=names)
    return path


def test_loose_runs_have_the_summary_of_a_sweep(tmp_path):
    runs = [
        write_run(tmp_path / "a", "soft_topk"),
        write_run(tmp_path / "b", "soft_topk", seed=1),
        write_run(tmp_path / "c", "static"),
        write_run(tmp_path / "d", "static", model="resnet"),
        write_run(tmp_path / "e", "static", model="resnet"),  # told apart by a number
    ]
    page = reports.summarize(runs, tmp_path / "summary")
    said = page.read_text()
    for method in ("soft_topk, conv_vit", "static, resnet", "static, resnet #2"):
        assert f"| {method} |" in said
    assert f"`python launch.py report {runs[0]} " in said
    assert {path.name for path in page.parent.iterdir()} >= {"figure.png", "_summary"}


def test_no_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one finished run"):
        reports.summarize([], tmp_path)
