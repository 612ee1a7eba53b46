"""A sweep whose seeds train together, killed in the middle."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import types

import psutil
import pytest

from dynsparse.launching import main
from dynsparse.launching.experiment import Sweep
from dynsparse.launching.trial import bundles

ROOT = pathlib.Path(__file__).parents[2]
TRAINED, MEASURED = (Sweep(types.ModuleType(name), "x.py") for name in ("a", "b"))
MEASURED.module.measure = dict


def trials(*names, **changes):
    return [
        TRAINED.trial(
            dict(
                config="configs/cluttered_digits.py:gumbel_sigmoid,,mac_target",
                method=name[0],
                seed=int(name[1:]),
                overrides=changes,
            )
        )
        for name in names
    ]


@pytest.mark.parametrize(
    ("most", "sizes"), [(1, [1] * 6), (2, [2, 2, 1, 1]), (8, [5, 1])]
)
def test_bundles_hold_what_one_program_can_step(most, sizes, monkeypatch):
    """Seeds and weights of penalties may differ, targets may not."""
    monkeypatch.chdir(ROOT)
    weight, target = (
        "budget.penalties.mac_target.weight",
        "budget.penalties.mac_target.target",
    )
    every = [
        *trials("a0", "a1", "a2", "a3"),
        *trials("b0", **{weight: 3.0}),
        *trials("c0", **{target: 0.3}),
    ]
    found = bundles(every, most)
    assert [len(bundle) for bundle in found] == sizes
    assert sorted(t.name for b in found for t in b) == sorted(t.name for t in every)


def test_what_is_measured_stays_alone():
    every = [MEASURED.trial(dict(seed=seed)) for seed in range(3)]
    assert [len(bundle) for bundle in bundles(every, 8)] == [1, 1, 1]


@pytest.mark.system
def test_trials_of_a_killed_bundle_go_on_alone(tmp_path):
    command = [sys.executable, "launch.py", "sweep", "tests/launching/tiny_digits.py:"]
    command[-1] += "full"
    command += [f"--workdir={tmp_path}", "--together=8"]
    quick = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=quick, stdout=subprocess.PIPE, text=True
    )
    saved = lambda: list(tmp_path.glob("random_topk/tiny/*/checkpoints/100"))
    end = time.monotonic() + 120
    while len(saved()) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    (trial,) = psutil.Process(process.pid).children()
    words = trial.cmdline()
    assert len(words[words.index("trial") + 1 :]) == 2
    trial.send_signal(signal.SIGKILL)
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == 0, printed
    died = re.findall(
        r"died      random_topk/tiny/(\d)-\w+  killed by SIGKILL", printed
    )
    assert sorted(died) == ["0", "1"]
    folders = sorted(tmp_path.glob("*_topk/tiny/*"))
    assert len(folders) == 3
    for folder in folders:
        assert (folder / "result.json").is_file()
        steps = (folder / "metrics.jsonl").read_text().count('"split": "train"')
        assert steps == 200
    resumed = [
        "resumed from step 100" in (folder / "log.txt").read_text()
        for folder in folders
        if "random" in str(folder)
    ]
    assert resumed == [True] * 2


def test_measured_trials_are_not_put_together(capsys):
    assert main(["sweep", "operator_speed", "--together=2"]) == 2
    assert "are measured, not trained; accepted: 1" in capsys.readouterr().err
