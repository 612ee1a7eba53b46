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

import launch
from dynsparse import launching, reports, training
from dynsparse.serving.replay import FIELDS
from tests.launching.commands import ROOT, command

SERVE = ["--seconds=3", "--request_size=8", "--rungs=3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Any budget, and half the features: the floor leaves room for three rungs."""
    workdir = tmp_path_factory.mktemp("runs") / "served"
    flags = "--config.train.num_steps=2", "--config.optimizer.warmup_steps=1"
    assert launch.main(command(workdir, *flags)) == 0
    return workdir


@pytest.fixture(scope="module")
def served(trained):
    words = ["launch.py", f"--serve={trained}", "--load=sine", *SERVE]
    assert launch.main(words) == 0
    return trained


def test_serving_leaves_ladder_rows_and_figure(served):
    ladder = json.loads((served / "ladder.json").read_text())
    budgets = [row["budget"] for row in ladder]
    assert budgets == sorted(budgets)
    assert budgets[-1] == 1.0
    assert (served / "serving.png").stat().st_size > 10_000
    with (served / "serving.csv").open() as file:
        table = csv.DictReader(file)
        policies = {row["policy"] for row in table}
        assert tuple(table.fieldnames) == FIELDS
    assert policies == {"controller", *(f"rung {i}" for i in range(len(ladder)))}


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
    for arrivals in others:  # the same load for all
        np.testing.assert_array_equal(arrivals, first)


def test_a_run_comes_back_from_its_folder(trained):
    experiment, state = training.restore(trained)
    assert int(state["step"]) == 2
    assert experiment.settings.train.num_steps == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--load=steep"], "--load=steep: value should be one of <constant|ramp|"),
        (["--seconds=0.1"], "--seconds=0.1"),
        (["--rungs=1"], "--rungs=1"),
        (["--request_size=1000"], "request_size 1000 exceeds the 40 test pictures"),
        (["--colour=red"], "colour"),
        (["fast"], "unexpected argument 'fast'"),
    ],
)
def test_mistakes_are_one_line_and_exit_status_2(trained, flags, message, capsys):
    assert launch.main(["launch.py", f"--serve={trained}", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_without_a_run_is_refused(tmp_path, capsys):
    assert launch.main(["launch.py", f"--serve={tmp_path}"]) == 2
    assert "is not the folder of a finished run: it has no config.json" in (
        capsys.readouterr().err
    )


def test_a_run_that_is_not_finished_is_refused(trained, tmp_path, capsys):
    unfinished = tmp_path / "run"
    shutil.copytree(trained, unfinished)
    (unfinished / "result.json").unlink()
    assert launch.main(["launch.py", f"--serve={unfinished}"]) == 2
    assert "it has no result.json" in capsys.readouterr().err


def test_ctrl_c_leaves_what_was_measured(trained):
    words = [f"--serve={trained}", *SERVE, "--seconds=60"]
    process = subprocess.Popen(
        [sys.executable, "launch.py", *words], cwd=ROOT, stdout=subprocess.PIPE
    )
    (trained / "serving.csv").unlink(missing_ok=True)
    (trained / "ladder.json").unlink(missing_ok=True)
    end = time.monotonic() + 120
    while not (trained / "ladder.json").exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"controller" in output
    assert reports.read_serving(trained)


def test_parsing_a_request_to_serve_imports_no_jax(trained):
    code = (
        "import launch, sys; from dynsparse import launching;"
        f"launching.parse_serve(['launch.py', '--serve={trained}']);"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_config_is_no_request_to_serve():
    assert not launching.asks_to_serve(["launch.py", "--config=serve.py"])
    assert launching.asks_to_serve(["launch.py", "--serve=runs/x"])
