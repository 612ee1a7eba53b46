"""`launch.py compare`: what it prints and what it refuses."""

import io
import json
import shutil

import pytest
from rich.console import Console

from dynsparse import reports
from dynsparse.launching import main
from tests.reports import fake_sweep


@pytest.fixture
def runs(tmp_path):
    for name, steps in (("a", 2), ("b", 3)):
        fake_sweep.write_run(
            tmp_path / name, "soft_topk", seed=0, train=dict(num_steps=steps)
        )
    return [str(tmp_path / name) for name in "ab"]


def test_differences_come_before_the_numbers(runs, capsys):
    assert main(["compare", *runs]) == 0
    printed = capsys.readouterr().out
    assert printed.index("train.num_steps") < printed.index("accuracy %")
    assert "gate.name" not in printed
    assert printed.count("0.362") == 2


def test_a_folder_may_have_brackets(runs, tmp_path):
    shutil.copytree(runs[1], tmp_path / "lr=[0.1]*")
    words = ["compare", runs[0], str(tmp_path / "lr=[0.1]*")]
    assert main(words) == 0


def without_a_result(folder):
    (folder / "b/result.json").unlink()
    return [folder / "a", folder / "b"]


def with_half_a_result(folder):
    (folder / "b/result.json").write_text('{"curve": [')
    return [folder / "a", folder / "b"]


def with_a_measured_result(folder):
    (folder / "b/result.json").write_text(json.dumps(fake_sweep.PLACE | dict(rows=[])))
    return [folder / "a", folder / "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda folder: [folder / "a"], "two folders of runs or more, got 1"),
        (
            lambda folder: [folder / "a", folder / "none"],
            "not the folder of a",
        ),
        (lambda folder: [folder / "a", "--seed=3"], "unknown flag '--seed=3'"),
        (without_a_result, "finished run: it has no result.json"),
        (with_a_measured_result, "of a trial that was measured, not trained"),
        (with_half_a_result, "b/result.json is damaged: no JSON ("),
    ],
)
def test_a_mistake_is_one_line_and_status_2(runs, tmp_path, arguments, message, capsys):
    words = [str(word) for word in arguments(tmp_path)]
    assert main(["compare", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_five_runs_are_told_apart_in_80_columns(tmp_path):
    methods = ("soft_topk", "gumbel_sigmoid", "static", "random_topk", "magnitude")
    runs = [tmp_path / f"run-{method}" for method in methods]
    for method, run in zip(methods, runs, strict=True):
        names = dict(method=method, model="conv_vit", budget="own")
        sections = dict(
            names=names, temperature_schedule=None if "top" in method else {}
        )
        fake_sweep.write_run(run, "soft_topk", seed=0, **sections)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(reports.compare_runs(runs))
    text = console.export_text()
    assert "…" not in text
    assert "temperature_schedule" not in text  # None and {} are one
    for number, method in enumerate(methods, start=1):
        assert f"{method} ({number})" in text
        assert text.count(f"{number} {method}") == 2
