"""Serving from the command line: what it writes, and what it refuses."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dynsparse import reports, training
from dynsparse.bench.replay import FIELDS
from dynsparse.launching import UserError, main, serve
from tests.launching.commands import ROOT

SERVE = ["--seconds=3", "--rounds=1", "--request_size=8", "--rungs=3"]


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    """Any budget, and half the features: the floor leaves room for three rungs."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("runs") / "served")


@pytest.fixture(scope="module")
def served(trained):
    words = ["serve", str(trained), "--load=sine", *SERVE]
    assert main(words) == 0
    return trained / "serve" / "sine-1"


@pytest.mark.system
def test_serving_leaves_ladder_rows_and_figure(served):
    ladder = json.loads((served / "ladder.json").read_text())
    budgets = [row["budget"] for row in ladder]
    assert budgets == sorted(budgets)
    assert budgets[-1] == 1.0
    assert (served / "serving.png").stat().st_size > 10_000
    with (served / "serving.csv").open() as file:
        table = csv.DictReader(file)
        policies = {row["policy"] for row in table}
        assert tuple(table.fieldnames) == ("round", *FIELDS)
    assert policies == {"controller", *(f"rung {i}" for i in range(len(ladder)))}


@pytest.mark.system
def test_rows_are_read_back_as_they_were_measured(served):
    rows = reports.read_serving(served)
    answered = [row for row in rows if row["rung"] is not None]
    assert answered
    for row in rows:
        assert row["reason"]
        assert (row["seconds"] is None) == (row["rung"] is None)
        if row["policy"] != "controller" and row["rung"] is not None:
            assert row["policy"] == f"rung {row['rung']:.0f}"
    by_policy = {}
    for row in rows:
        by_policy.setdefault(row["policy"], []).append(row["arrival"])
    first, *others = by_policy.values()
    for arrivals in others:  # the same load for all, whichever was answered first
        np.testing.assert_array_equal(sorted(arrivals), sorted(first))


@pytest.mark.system
def test_every_rung_has_its_validation_score(served):
    for row in json.loads((served / "ladder.json").read_text()):
        assert 0 <= row["validation_score"] <= 1


@pytest.mark.system
def test_no_rung_is_below_the_densities_trained_at(trained, served):
    config = json.loads((trained / "config.json").read_text())
    ladder = json.loads((served / "ladder.json").read_text())
    lowest = min(row["density"] for row in ladder)
    assert lowest >= config["budget"]["sampling"]["low"] - 1e-9


@pytest.mark.parametrize(
    ("gate", "budget", "expected"),
    [
        (dict(name="hard_topk"), dict(name="fixed", density=0.375), 0.375),
        (None, None, 0.1),
        (
            dict(name="gumbel_sigmoid", temperature=1.0),
            dict(name="penalised", penalties={}),
            1.0,
        ),
    ],
)
def test_the_least_density_is_that_of_the_training(trained, gate, budget, expected):
    config = json.loads((trained / "config.json").read_text())
    config["gate"] = gate or config["gate"]
    config["budget"] = budget or config["budget"]
    if gate and gate["name"] == "gumbel_sigmoid":
        config["evaluation"] |= dict(densities=(), budgets=())
    assert training.least_density(training.prepare(config)) == expected


def test_a_second_time_writes_beside_the_first(trained):
    with serve.serve_folder(trained, "ramp") as first:
        (first / "ladder.json").write_text("1")
    with serve.serve_folder(trained, "ramp") as second:
        (second / "ladder.json").write_text("2")
    assert (first.name, second.name) == ("ramp-1", "ramp-2")
    assert (first / "ladder.json").read_text() == "1"


def test_nothing_is_left_where_nothing_was_written(trained):
    with serve.serve_folder(trained, "constant") as folder:
        assert folder.is_dir()
    assert not folder.exists()


def test_a_file_in_the_way_is_named(tmp_path, trained):
    (tmp_path / "serve").write_text("")
    with (
        pytest.raises(UserError, match="cannot write .*spike-1"),
        serve.serve_folder(tmp_path, "spike"),
    ):
        pass


def test_an_accuracy_that_no_rung_has_is_refused(trained, capsys):
    words = ["serve", str(trained), *SERVE, "--least_score=1"]
    assert main(words) == 2
    assert "least_score 1: no rung has it, the best has" in capsys.readouterr().err


def test_a_run_comes_back_from_its_folder(trained):
    run = training.restore(trained)
    assert int(run.state["step"]) == 6
    assert run.config["train"]["num_steps"] == 6
    assert run.prepared.settings.train.num_steps == 6


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--load=spyke"], "--load: invalid choice: 'spyke' (choose from"),
        (["--load=spyke"], "; did you mean spike?"),
        (["--seconds=0.1"], "--seconds: must be a number in [3, 86400], got '0.1'"),
        (["--rungs=1"], "--rungs: must be an integer in [2, 100], got '1'"),
        (["--request_size=1000"], "request_size 1000 exceeds the 40 test images"),
        (["--seconds=nan"], "--seconds: must be a number in [3, 86400], got 'nan'"),
        (["--least_score=1.1"], "must be a number in [0, 1], got '1.1'"),
        (
            ["--secnds=3"],
            "'--secnds=3'; see serve --help; did you mean sec",
        ),
        (["fast"], "unexpected argument 'fast'"),
    ],
)
def test_mistakes_are_one_line_and_exit_status_2(trained, flags, message, capsys):
    assert main(["serve", str(trained), *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not [path for path in trained.glob("serve/*") if not any(path.iterdir())]


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert main(["serve", str(tmp_path)]) == 2
    assert "is not the folder of a finished run: it has no config.json" in (
        capsys.readouterr().err
    )


def test_a_run_that_is_not_finished_is_refused(trained, tmp_path, capsys):
    unfinished = tmp_path / "run"
    shutil.copytree(trained, unfinished)
    (unfinished / "result.json").unlink()
    assert main(["serve", str(unfinished)]) == 2
    assert "it has no result.json" in capsys.readouterr().err


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_what_was_measured(trained, tmp_path, number):
    trained = shutil.copytree(
        trained, tmp_path / "run", ignore=shutil.ignore_patterns("serve")
    )
    folder = trained / "serve" / "spike-1"
    words = ["serve", str(trained), *SERVE, "--seconds=60"]
    process = subprocess.Popen(
        [sys.executable, "launch.py", *words], cwd=ROOT, stdout=subprocess.PIPE
    )
    end = time.monotonic() + 120
    while not (folder / "ladder.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"controller" in output
    assert reports.read_serving(folder)
