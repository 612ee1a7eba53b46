"""The pool of a sweep, against processes that are functions; and real small ones."""

import json
import os
import signal
import sys
import threading
import time

import pytest

from dynsparse._internal.stop_signal import StopSignal
from dynsparse.launching import pool
from dynsparse.launching.arguments import MISTAKE, UserError
from dynsparse.launching.live_table import LiveTable
from dynsparse.launching.places import Place, places_on_slurm
from dynsparse.launching.trial import STOPPED, Trial
from tests.reports.fake_sweep import PLACE

HERE = (Place(),)
FINISHES = "leaves a result, then dies"


class Events(LiveTable):
    """A table that notes what it is told, and shows nothing."""

    def __init__(self):
        self.seen = []

    def started(self, name):
        self.seen.append(("started", name))

    def ended(self, name, state, complaint=""):
        self.seen.append((state, name))


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Runs bundles, of which each attempt does what is listed by its trials' names."""

    class Runs:
        calls = []
        places = []
        limits = []
        table = Events()
        stop = StopSignal(only_first=False)
        at_once = 0

        def __call__(self, *bundles, places=HERE, limit=None, **does):
            left = {name: iter(outcomes) for name, outcomes in does.items()}
            lock, running = threading.Lock(), []

            def run_process(folders, place, limit, stop):
                names = "".join(folder.name for folder in folders)
                with lock:
                    running.append(names)
                    self.at_once = max(self.at_once, len(running))
                    self.calls.append(names)
                    self.places.append(place)
                    self.limits.append(limit)
                outcome = next(left[names])
                if callable(outcome):
                    outcome = outcome(stop)
                if outcome == FINISHES:
                    for folder in folders:
                        result = json.dumps(dict(rows=[], **PLACE))
                        (folder / "result.json").write_text(result)
                    outcome = (-9, "killed by SIGKILL")
                with lock:
                    running.remove(names)
                return outcome

            monkeypatch.setattr(pool, "run_process", run_process)
            bundle = lambda names: tuple(Trial(n, "x.py", {}, None) for n in names)
            run = (tmp_path, "command", [*places], limit, self.table, self.stop)
            pool.Pool(*run).run([bundle(names) for names in bundles])

        def ends(self):
            return [event for event in self.table.seen if event[0] != "started"]

    return Runs()


def test_a_trial_that_dies_goes_to_the_end_of_the_queue_once(runs):
    died = (-9, "killed by SIGKILL")
    runs("a", "b", "c", a=[died, FINISHES], b=[FINISHES], c=[died, died])
    assert runs.calls == ["a", "b", "c", "a", "c"]
    assert runs.ends() == [
        ("died", "a"),
        ("finished", "b"),
        ("died", "c"),
        ("finished", "a"),
        ("failed", "c"),
    ]


def test_a_mistake_is_not_tried_again_but_trials_of_a_bundle_are_alone(runs):
    mistake = (MISTAKE, "error: no such file")
    runs("a", "bc", a=[mistake], bc=[mistake], b=[mistake], c=[FINISHES])
    assert runs.calls == ["a", "bc", "b", "c"]
    assert runs.ends()[-2:] == [("failed", "b"), ("finished", "c")]


def test_a_full_disk_stops_all_and_is_raised(runs):
    full = (pool.FULL_DISK, "no space left on the device")
    with pytest.raises(OSError, match="no space left"):
        runs("a", "b", a=[full], b=[FINISHES])
    assert "b" not in runs.calls or runs.calls == ["a", "b"]  # b may have begun
    assert runs.stop.times == 1


def test_a_damaged_result_is_a_complaint(runs, tmp_path):
    def damages(stop):
        (tmp_path / "a/result.json").write_text("[]")
        return 0, ""

    runs("a", a=[damages, damages])
    assert runs.ends() == [("died", "a"), ("failed", "a")]


def test_each_process_has_a_place_of_its_own_and_a_limit_by_its_trials(runs):
    def lasts(stop):
        time.sleep(0.2)
        return FINISHES

    places = [Place(dict(number=str(number))) for number in range(2)]
    runs("ab", "c", "d", places=places, limit=3.0, ab=[lasts], c=[lasts], d=[lasts])
    assert runs.at_once == 2
    assert all(place in runs.places[:2] for place in places)
    assert sorted(runs.limits) == [3.0, 3.0, 6.0]


def test_a_stop_lets_what_runs_end_and_starts_nothing_more(runs):
    def is_stopped(stop):
        stop.times += 1
        return 130, "stopped at step 3"

    runs("a", "b", a=[is_stopped], b=[FINISHES])
    assert runs.calls == ["a"]
    assert runs.table.seen == [("started", "a"), ("stopped", "a")]


def test_a_trial_that_another_stopped_is_not_counted_as_dead(runs):
    """As where a cluster wants its node back."""
    stopped = (STOPPED, "stopped at step 3")
    runs("a", a=[stopped, stopped, stopped, FINISHES])
    assert runs.ends() == [*[("died", "a")] * 3, ("finished", "a")]


@pytest.fixture
def process(tmp_path, monkeypatch):
    """Runs code in the place of a trial; returns its status and complaint."""

    def run(code, *, limit=None, stop=None, **environment):
        monkeypatch.setattr(pool, "WORKER", (sys.executable, "-c", code))
        stop = stop or StopSignal(only_first=False)
        return pool.run_process([tmp_path], Place(environment), limit, stop)

    return run


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("import os; os.kill(os.getpid(), 9)", (-9, "killed by SIGKILL")),
        ("raise SystemExit(74)", (74, "no space left on the device")),
        ("raise SystemExit(3)", (3, "ended with status 3 and no result")),
        ("raise KeyError('a[b]')", (1, "KeyError: 'a[b]'")),
        ("print('so much ' * 99)", (0, "so much " * 37 + "so m ...")),
    ],
)
def test_why_a_process_left_no_result_is_one_line(code, outcome, process):
    assert process(code) == outcome


def test_a_process_that_hangs_is_killed_with_its_children(process, tmp_path):
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen((sys.executable, '-c', 'while True: pass'));"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid));"
        "time.sleep(1000)"
    )
    assert process(code, limit=2.0) == (-9, "killed past its limit of 2 s")
    child = int((tmp_path / "child").read_text())
    ended = lambda: not os.path.exists(f"/proc/{child}") or _is_zombie(child)
    assert any(ended() or time.sleep(0.1) for _ in range(50))


def _is_zombie(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("deaf", [False, True])
def test_a_stop_is_passed_on_and_then_forced(deaf, process, monkeypatch, tmp_path):
    monkeypatch.setattr(pool, "GRACE", 0.5)
    hears = "signal.SIG_IGN" if deaf else "lambda *_: sys.exit(130)"
    code = (
        f"import signal, sys, time; signal.signal(signal.SIGTERM, {hears});"
        f"open({str(tmp_path / 'listens')!r}, 'w').close(); time.sleep(1000)"
    )

    stop = StopSignal(only_first=False)

    def ask():
        while not (tmp_path / "listens").exists():
            time.sleep(0.01)
        stop.times += 1

    threading.Thread(target=ask).start()
    status, _ = process(code, stop=stop)
    assert status == (-signal.SIGKILL if deaf else 130)


def test_what_a_place_says_reaches_the_process(process):
    code = "import os; print(os.environ['NPROC'], 'DYNSPARSE_LAUNCHER' in os.environ)"
    assert process(code, NPROC="3") == (0, "3 True")


def test_attempts_add_to_one_log(process, tmp_path):
    for word in ("one", "two"):
        process(f"print({word!r})")
    assert (tmp_path / "log.txt").read_text().split() == ["one", "two"]


def test_on_slurm_a_job_stands_for_the_process(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "WORKER", ("work",))
    place = Place(submit=("echo", "--wait"))
    _, said = pool.run_process([tmp_path], place, 3.0, StopSignal(only_first=False))
    job = f"exec timeout --kill-after=60 3 work {tmp_path}"
    assert said == f"--wait --output={tmp_path}/log.txt --wrap={job}"


def test_a_partition_that_slurm_does_not_take_is_refused(tmp_path, monkeypatch):
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\necho "error: no $1" >&2; exit 1')
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="--slurm: this machine has no sbatch"):
        places_on_slurm(1, "short", 60.0)
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(UserError, match="--slurm: error: no --partition=short"):
        places_on_slurm(1, "short", 60.0)
