"""What is shown while a sweep runs, here and on Slurm; what its jobs there share."""

import io
import re
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from rich.console import Console

from dynsparse.launching.sweep import slots, slurm
from dynsparse.launching.sweep.live_table import LiveTable
from dynsparse.launching.sweep.trial import Trial


@pytest.fixture
def watched():
    """A table of five trials and eight jobs; its clock."""
    clock = [0.0]
    console = Console(quiet=True, get_time=lambda: clock[0])
    trials = [Trial(name, "x.py", {}, None) for name in "abcde"]
    return LiveTable(console, trials, set(), jobs=8), trials, clock


def test_the_time_left_is_no_less_than_one_trial_takes(watched):
    shown, (first, second, *_), clock = watched
    shown.started(first)
    clock[0] = 60.0
    shown.started(second)
    clock[0] = 100.0
    shown.ended(first, "finished")
    assert shown.left() == 100.0  # of each that waits; they have jobs enough


def test_the_time_left_is_that_of_a_whole_bundle(watched):
    shown, (first, *others), clock = watched
    shown.started(first)
    clock[0] = 100.0
    shown.ended(first, "finished")
    for trial in others:
        shown.started(trial, together=4)
    clock[0] = 140.0
    assert shown.left() == 4 * 100.0 - 40.0


def test_the_time_left_is_that_of_trials_that_finish(watched):
    shown, (first, second, *_), clock = watched
    for trial in (first, second):
        shown.started(trial)
    clock[0] = 2.0
    shown.ended(first, "failed", "a mistake")
    clock[0] = 100.0
    shown.ended(second, "finished")
    assert shown.left() == 100.0


def test_a_bundle_on_slurm_shares_its_time(watched, monkeypatch, tmp_path):
    shown, (first, second, *_), clock = watched
    job = SimpleNamespace(job_id="7")
    jobs = {trial.name: (trial, job, 2) for trial in (first, second)}
    running = set()
    monkeypatch.setattr(slurm, "read_result", lambda folder: {})
    for clock[0], queue in ((0.0, "7 RUNNING\n"), (100.0, "")):
        answer = SimpleNamespace(returncode=0, stdout=queue)
        monkeypatch.setattr(slurm.subprocess, "run", Mock(return_value=answer))
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
    with LiveTable(console, trials, {trials[0].name}, jobs=2) as shown:
        shown.started(trials[1])
        shown.started(trials[2])
        shown.ended(trials[2], "finished")
        shown.started(trials[3])
        shown.ended(trials[3], "failed", "it [would] not")
        assert shown.left() is not None
    text = console.file.getvalue().rpartition("two ")[2]
    for words in ("^.*running", "three +finished", r"four +failed .* it \[would\]"):
        assert re.search(words, text)
    assert "one" not in text
    assert "2 of 4 finished, 1 failed" in text
