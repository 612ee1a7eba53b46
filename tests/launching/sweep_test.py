"""A sweep from its command to its report: it survives its trials, and stops."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from dynsparse import reports
from dynsparse.launching.pool import FULL_DISK

ROOT = pathlib.Path(__file__).parents[2]
TOYS = "sweep", "tests/launching/toys.py"


def until(condition, seconds=60):
    """Whether it holds before so many seconds are over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        status = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        return status.split()[0] != "Z"  # nobody waits for orphans in a container
    return False


@pytest.mark.system
def test_no_trial_stops_the_others(toys, capsys):
    toys.plan(
        dict(does="raises", number=7), dict(does="dies once"), dict(does="returns")
    )
    assert toys.run("--jobs=2") == 1
    assert sorted(toys.calls()) == sorted(
        ["raises 7", "dies once 0", "returns 0", "raises 7", "dies once 0"]
    )
    assert [row["does"] for row in toys.rows()] == ["dies once", "returns"]
    assert {row["threads"] for row in toys.rows()} == {str(max(1, os.cpu_count() // 2))}
    report = (toys.folder / "report.md").read_text()
    assert "2 did." in report
    assert "Missing: 1 of 3 trials." in report
    printed = capsys.readouterr().out
    for line in (report, printed):
        assert "is not to its liking [/data/x] [batch, 3]" in line
    assert "killed by SIGKILL" in printed
    log = toys.folder_of("raises") / "log.txt"
    assert f"; see {log}" in printed
    log = log.read_text()
    assert log.count("Traceback") == 2

    toys.plan(dict(does="returns"), dict(does="dies once"), dict(does="new"))
    assert toys.run() == 0  # what is finished is skipped
    assert toys.calls()[5:] == ["new 0"]
    assert capsys.readouterr().out.count("started ") == 1
    assert "Missing" not in (toys.folder / "report.md").read_text()


@pytest.mark.system
def test_what_is_refused_as_a_mistake_is_not_tried_again(toys, capsys):
    toys.plan(dict(does="makes a mistake"))
    assert toys.run() == 1
    assert toys.calls() == ["makes a mistake 0"]
    assert "data: there is no nowhere.npz" in capsys.readouterr().out


@pytest.mark.system
def test_the_complaint_of_a_compiled_program_is_its_own(toys, capsys):
    toys.plan(dict(does="raises in a program", number=2))
    assert toys.run() == 1
    assert "TypeError: add got incompatible shapes" in capsys.readouterr().out


@pytest.mark.system
def test_a_trial_that_hangs_is_killed_with_its_children_and_tried_again(toys, tmp_path):
    toys.plan(dict(does="hangs once"))
    assert toys.run("--limit=12") == 0
    assert toys.calls() == ["hangs once 0"] * 2
    assert until(lambda: not alive(int((tmp_path / "child").read_text())), 5)


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_says_how_to_go_on_and_does(number, toys, tmp_path):
    toys.plan(dict(does="sleeps"))
    process = toys.start()
    assert until(lambda: (tmp_path / "pid").exists())
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped; go on with" in printed.splitlines()[-1]
    assert not alive(int((tmp_path / "pid").read_text()))
    if number == signal.SIGINT:  # the printed command is the one
        assert " ".join(TOYS) in printed.splitlines()[-1]
        assert toys.run() == 0
        assert len(toys.rows()) == 1


@pytest.mark.system
def test_trials_stop_when_their_launcher_is_killed(toys, tmp_path):
    toys.plan(dict(does="sleeps"))
    process = toys.start()
    assert until(lambda: (tmp_path / "pid").exists())
    process.kill()
    process.communicate()
    assert until(lambda: not alive(int((tmp_path / "pid").read_text())), 10)


@pytest.mark.system
def test_a_trial_stops_whose_launcher_was_killed_before_it_listened():
    with subprocess.Popen((sys.executable, "-c", "")) as gone:
        pass
    code = (
        "import os, time; from dynsparse.launching import trial;"
        "trial.stop_with_launcher(os.environ[trial.LAUNCHER]); time.sleep(5)"
    )
    orphan = subprocess.run(
        (sys.executable, "-c", code),
        cwd=ROOT,
        env={**os.environ, "DYNSPARSE_LAUNCHER": str(gone.pid)},
    )
    assert orphan.returncode == -signal.SIGTERM


@pytest.mark.system
def test_a_disk_that_a_trial_fills_is_one_line(toys, capsys):
    toys.plan(dict(does="fills the disk"), dict(does="returns"))
    assert toys.run() == FULL_DISK
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no space left on the device" in error
    assert toys.calls() == ["fills the disk 0"]  # the others wait for space
    assert not list(toys.folder.glob("*/result.json"))


def test_a_disk_that_is_full_for_the_launcher_is_one_line(toys, capsys, monkeypatch):
    def write(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    toys.plan(dict(does="returns"))
    toys.finish(dict(does="returns"))
    monkeypatch.setattr(reports, "write_report", write)
    assert toys.report() == FULL_DISK
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "No space left on device" in error


def test_a_report_says_what_is_missing_and_what_differs(toys):
    toys.plan(dict(does="one"), dict(does="two"), dict(does="three"))
    toys.finish(dict(does="one"))
    toys.finish(dict(does="two"), commit="def", device="gpu")
    assert toys.report() == 0
    report = (toys.folder / "report.md").read_text()
    assert "differ in their commit: abc (1 trials), def (1 trials)." in report
    assert "differ in their device" in report
    assert "Missing: 1 of 3 trials.\n\n- `does=three-" in report
    assert "Measured at commit abc and def on " in report
    assert "`python launch.py sweep tests/launching/toys.py:small " in report
    assert toys.calls() == []


def test_a_report_of_nothing_is_refused(toys, capsys):
    toys.plan(dict(does="one"), dict(does="two"))
    toys.finish(dict(does="one"))
    next(toys.folder.glob("*/result.json")).unlink()
    assert toys.report() == 2
    assert "is finished" in capsys.readouterr().err


def test_a_dry_run_lists_the_trials_and_runs_none(toys, capsys):
    toys.plan(dict(does="one"), dict(does="two", number=3))
    toys.finish(dict(does="one"))
    assert toys.run("--dry_run") == 0
    one, two, total = capsys.readouterr().out.splitlines()
    assert one.startswith("finished  does=one-")
    assert two.startswith("to run    does=two,number=3-")
    assert "does=two, number=3" in two
    assert total.startswith("2 trials")
    assert toys.calls() == []


def test_a_folder_in_use_is_refused(toys, capsys):
    toys.plan(dict(does="one"))
    toys.folder.mkdir()
    with (toys.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert toys.run() == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is in use by another process" in error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", {}, "holds a run, not a sweep"),
        (
            "sweep.json",
            dict(sweep="experiments/other.py:small --config.a=1"),
            "holds a sweep of experiments/other.py:small --config.a=1, not tests/laun",
        ),
    ],
)
def test_a_folder_of_something_else_is_refused(name, content, message, toys, capsys):
    toys.plan(dict(does="one"))
    toys.folder.mkdir()
    (toys.folder / name).write_text(json.dumps(content))
    assert toys.run() == 2
    assert message in capsys.readouterr().err


@pytest.mark.system
def test_the_launcher_initialises_no_jax_backend(toys):
    toys.plan(dict(does="returns"))
    code = (
        "import sys; from dynsparse.launching import main;"
        f"status = main([*{TOYS!r}, '--workdir={toys.folder}']);"
        "from jax._src import xla_bridge;"
        "sys.exit(status or xla_bridge.backends_are_initialized())"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    assert len(toys.rows()) == 1
