"""What is shown while a sweep runs, here and on Slurm; what its jobs there share."""

import io
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from dynsparse.launching.sweep import board, slots, slurm
from dynsparse.launching.sweep.trial import Trial


@pytest.fixture
def watched(monkeypatch):
    """A board of five trials and eight jobs; its clock."""
    clock = [0.0]
    monkeypatch.setattr(board.time, "monotonic", lambda: clock[0])
    trials = [Trial(name, "x.py", {}, None) for name in "abcde"]
    return board.Board(Console(quiet=True), trials, set(), jobs=8), trials, clock


def test_the_time_left_is_no_less_than_one_trial_takes(watched):
    shown, (first, second, *_), clock = watched
    shown.started(first)
    clock[0] = 60.0
    shown.started(second)
    clock[0] = 100.0
    shown.finished(first)
    assert shown.left() == 100.0  # of each that waits; they have jobs enough


def test_the_time_left_is_that_of_a_whole_bundle(watched):
    shown, (first, *others), clock = watched
    shown.started(first)
    clock[0] = 100.0
    shown.finished(first)
    for trial in others:
        shown.started(trial, together=4)
    clock[0] = 140.0
    assert shown.left() == 4 * 100.0 - 40.0


def test_the_time_left_is_that_of_trials_that_finish(watched):
    shown, (first, second, *_), clock = watched
    for trial in (first, second):
        shown.started(trial)
    clock[0] = 2.0
    shown.failed(first, "a mistake")
    clock[0] = 100.0
    shown.finished(second)
    assert shown.left() == 100.0


def test_a_bundle_on_slurm_shares_its_time(watched, monkeypatch, tmp_path):
    shown, (first, second, *_), clock = watched
    job = SimpleNamespace(job_id="7")
    jobs = {trial.name: (trial, job, 2) for trial in (first, second)}
    running = set()
    monkeypatch.setattr(slurm, "read_result", lambda folder: {})
    for clock[0], states in ((0.0, {"7": "RUNNING"}), (100.0, {})):
        monkeypatch.setattr(slurm, "_queue", lambda states=states: states)
        slurm._look(tmp_path, jobs, running, shown)
    assert shown.left() == 50.0


def test_jobs_share_what_they_compile_where_their_trials_train(tmp_path, monkeypatch):
    found = []

    class Noting:
        def __init__(self, *_, slots, **__):
            found.extend(slots)

        def run(self, bundles):
            pass

    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setattr(slurm, "Pool", Noting)
    for config in (None, dict(seed=0)):
        slurm.Job(tmp_path, "command", None)((Trial("t", "x.py", {}, config),))
    assert found == [{}, slots.compiled_once(tmp_path)]
    assert found[1]


def test_a_terminal_has_a_table_of_what_runs_and_what_failed():
    trials = [Trial(name, "x.py", {}, None) for name in ("one", "two", "three", "four")]
    console = Console(force_terminal=True, width=100, file=io.StringIO(), no_color=True)
    with board.Board(console, trials, {trials[0].name}, jobs=2) as shown:
        shown.started(trials[1])
        shown.started(trials[2])
        shown.finished(trials[2])
        shown.started(trials[3])
        shown.failed(trials[3], "it would not")
        assert shown.left() is not None
    text = console.file.getvalue().rpartition("trial  ")[2]
    for words in (
        "two .* running",
        "three .* finished",
        "four .* failed .* it would not",
    ):
        assert re.search(words, text)
    assert "one" not in text
    assert "2 of 4 finished, 1 failed" in text
