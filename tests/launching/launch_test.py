"""The whole job from its command: what it leaves, and how it resumes."""

import contextlib
import csv
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dynsparse import reports, training
from dynsparse.launching import main
from dynsparse.training.folder.checkpoint import Checkpoints
from tests.launching.commands import CONFIG, ROOT, command, parsed, typed
from tests.training import tiny

FILES = {"metrics.jsonl", "clock.jsonl", "config.json", "result.json", "task.json"}
DRAWN = ("curve", "kept")
_CLOCK = ("latency", "time", "dense_again")  # starts of columns that are no bits


def test_a_run_leaves_its_files_and_nothing_else(finished):
    paths = [path for path in finished.iterdir() if not path.name.startswith(".")]
    files = {path.name for path in paths if path.is_file()}
    files = {name for name in files if not name.startswith("events.out")}
    drawn = {f"{name}.{end}" for name in DRAWN for end in ("png", "svg", "pdf")}
    assert files == FILES | drawn | {"curve.csv", "kept.npz"}
    assert {path.name for path in paths if path.is_dir()} == {"checkpoints", "@kflops"}


def test_curve_has_the_promised_columns_and_adds_up(finished):
    with (finished / "curve.csv").open() as file:
        header = file.readline().strip()
    assert header == (
        "density,budget,flops_mean,macs_mean,macs_p95,macs_dense,"
        "score,accuracy,latency_ms,latency_dense_ms,"
        "time_ratio,time_ratio_q1,time_ratio_q3,dense_again"
    )
    rows = reports.read_curve(finished)
    assert len(rows) == 3
    for row in rows:
        assert row["flops_mean"] == 2 * row["macs_mean"]
        np.testing.assert_allclose(row["budget"], row["macs_mean"] / row["macs_dense"])
        assert min(row.values()) >= 0
    assert [row["density"] for row in rows] == sorted(
        (row["density"] for row in rows), reverse=True
    )


def test_result_carries_where_it_comes_from(finished):
    result = json.loads((finished / "result.json").read_text())
    for name in ("commit", "device", "seed", "packages", "macs_floor", "steps"):
        assert result[name] is not None
    assert result["steps"] == 6
    (found,) = result["curve"][-1]["recovery"].values()
    assert 0 <= found["precision"] <= 1
    assert 0 < found["random_precision"] < 1


def events(folder):
    loaded = EventAccumulator(str(folder), size_guidance=dict(scalars=0, images=0))
    loaded.Reload()
    return loaded


def test_tensorboard_shows_scalars_and_figures(finished):
    board = events(finished)
    tags = board.Tags()
    assert {
        "train/loss",
        "train_gates/density/body",
        "validation/accuracy",
        "validation/loss",
        "validation_by_density/accuracy_at_1",
        "train_clock/steps_per_second",
    } <= set(tags["scalars"])
    assert set(tags["histograms"]) == {
        "gates_open_prob/body",
        "gates_open_share_of_unit/body",
    }
    assert [event.step for event in board.Scalars("train/loss")] == [2, 4, 6]
    assert set(tags["images"]) == {"curve", "kept"}


def test_tensorboard_draws_accuracy_against_kflops(finished):
    points = events(finished / "@kflops").Scalars("curve/accuracy")
    rows = sorted(reports.read_curve(finished), key=lambda row: row["flops_mean"])
    assert [p.step for p in points] == [round(r["flops_mean"] / 1000) for r in rows]
    np.testing.assert_allclose(
        [p.value for p in points], [r["accuracy"] for r in rows], rtol=1e-6
    )


def test_tensorboard_compares_runs_by_mflops_and_accuracy(finished):
    rows = reports.read_curve(finished)
    row = min(rows, key=lambda row: abs(row["density"] - 0.5))
    board = events(finished / "@kflops")
    value = lambda name: board.Scalars(f"hparam/{name}")[-1].value
    np.testing.assert_allclose(value("accuracy"), row["accuracy"], rtol=1e-6)
    np.testing.assert_allclose(value("mflops"), row["flops_mean"] / 1e6, rtol=1e-6)
    plugins = {data.plugin_data.plugin_name for data in board.summary_metadata.values()}
    assert "hparams" in plugins


def test_a_finished_run_prints_its_table_again(finished, capsys):
    before = (finished / "result.json").stat().st_mtime_ns
    assert main(command(finished)) == 0
    printed = capsys.readouterr().out
    assert "accuracy %" in printed
    assert "tensorboard" in printed
    assert (finished / "result.json").stat().st_mtime_ns == before


def test_a_run_leaves_no_file_and_no_thread_open(finished, tmp_path):
    open_now = lambda: (len(os.listdir("/proc/self/fd")), threading.active_count())
    before = open_now()
    assert main(command(tmp_path, "--config.train.checkpoint_every=1")) == 0
    assert open_now() == before


def test_a_changed_config_is_refused_with_the_difference(finished, capsys):
    assert main(command(finished, "--config.model.width=16")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "model.width: 8 there, 16 here" in error


def test_a_folder_in_use_is_refused(tmp_path, capsys):
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(command(tmp_path)) == 2
    assert "is in use by another process" in capsys.readouterr().err


def test_a_checkpoint_of_another_version_is_refused_in_one_line(tmp_path, capsys):
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(dict(step=np.array(1), weights=np.ones(3)))
    config = parsed(command(tmp_path)).config
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(command(tmp_path)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is of another model or version of the library" in error


def test_a_loss_that_is_not_finite_is_one_line_and_status_1(
    tmp_path, capsys, monkeypatch
):
    def fail(experiments, workdirs):
        raise FloatingPointError("the loss is nan at step 37")

    monkeypatch.setattr(training, "train_together", fail)
    assert main(command(tmp_path)) == 1
    error = capsys.readouterr().err
    assert error.startswith("failed: the loss is nan at step 37")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("where", "stop", "said"),
    [
        ("train_together", training.Interrupted(4), "stopped at step 4; resume with  "),
        ("train_together", KeyboardInterrupt(), "stopped; resume with  "),
        ("prepare_together", KeyboardInterrupt(), "stopped; resume with  "),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(
    where, stop, said, tmp_path, capsys, monkeypatch
):
    def interrupt(*_):
        raise stop

    monkeypatch.setattr(training, where, interrupt)
    assert main(command(tmp_path)) == 130
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(said)
    assert last.endswith(f"--workdir={tmp_path}")
    assert not (tmp_path / "result.json").exists()


def test_folders_are_fresh_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = parsed(["run", CONFIG]).workdir
    first.mkdir(parents=True)
    second = parsed(["run", CONFIG]).workdir
    assert first.parent == second.parent == pathlib.Path("runs")
    assert first != second


@pytest.mark.parametrize(
    "words",
    [
        ["--config.seed=3"],
        ["--config.seed", "3", "--workdir=runs/x"],
        ["--workdir", "runs/a b", "--config.seed=3"],
    ],
    ids=str,
)
def test_the_printed_command_resumes(words):
    request = parsed(["run", CONFIG, *words])
    again = parsed(typed(request.command))
    assert again.workdir == request.workdir
    assert again.config == request.config
    assert again.config["seed"] == 3
    assert request.command.count("--workdir") == 1


def test_ones_own_images_train_and_leave_a_curve(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = lambda n: rng.integers(0, 256, (n, 9, 14, 3), np.uint8)
    path = tmp_path / "images.npz"
    np.savez(
        path,
        x_train=images(60),
        y_train=np.arange(60) % 3,
        x_test=images(10),
        y_test=np.arange(10) % 3,
    )
    idle = ("--config.data.", "--config.evaluation.densit", "--config.evaluation.budg")
    flags = [flag for flag in tiny.FLAGS if not flag.startswith(idle)]
    config = f"--config={ROOT}/configs/npz_images.py:gumbel_sigmoid"
    workdir = tmp_path / "run"
    arguments = [
        "run",
        config,
        *flags,
        f"--config.data.path={path}",
        f"--workdir={workdir}",
    ]
    assert main([*arguments]) == 0
    with (workdir / "curve.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1
    assert (workdir / "kept.png").exists()
    said = capsys.readouterr().out
    opened = json.loads((workdir / "result.json").read_text())["everything_open"]
    assert f"{100 * opened:.2f}" in next(s for s in said.splitlines() if "open*" in s)
    assert "sweep", "experiments/targets.py:full --config=" in said


def final_state(workdir):
    experiment = training.prepare(tiny.config(train__num_steps=40))
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        assert checkpoints.latest == 40
        return checkpoints.restore(experiment.initial_state).state


@pytest.mark.system
def test_kill_9_and_the_same_command_end_with_the_same_bits(tmp_path):
    flags = ("--config.train.num_steps=40", "--config.train.log_every=1")
    start = lambda workdir: subprocess.Popen(
        [sys.executable, "launch.py", *command(workdir, *flags)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    log = killed / "metrics.jsonl"
    size = lambda: log.stat().st_size if log.exists() else 0
    process, deadline = start(killed), time.monotonic() + 200
    while not size() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.4)  # between, before or inside checkpoints, as it falls
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert size()
    assert not (killed / "result.json").exists()
    assert start(killed).wait() == 0
    assert start(whole).wait() == 0

    states = [final_state(workdir) for workdir in (killed, whole)]
    left, right = (jax.tree.leaves(state["params"]) for state in states)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [
        [json.loads(line) for line in (path / "metrics.jsonl").open()]
        for path in (killed, whole)
    ]
    for row in (row for both in rows for row in both if row["split"] == "curve"):
        for name in [name for name in row if name.startswith(_CLOCK)]:
            del row[name]  # the clock is no bit of a run
    assert rows[0] == rows[1]
