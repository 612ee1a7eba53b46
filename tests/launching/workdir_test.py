"""The folder of a run: what it refuses, and when it waits."""

import contextlib
import json
import threading

import pytest

from dynsparse.launching import UserError, trial
from dynsparse.launching.workdir import check_config, claim


def test_only_the_first_differences_are_named(tmp_path):
    there, here = (dict(model={name: n for name in "abcdefg"}) for n in (1, 2))
    (tmp_path / "config.json").write_text(json.dumps(there))
    with pytest.raises(UserError, match=r"; model.d: 1 .*; and 3 more\)"):
        check_config(tmp_path, here)


def test_a_run_is_not_made_longer_but_another_can_start_from_it(tmp_path):
    there, here = (dict(train=dict(num_steps=n), seed=0) for n in (4, 8))
    (tmp_path / "config.json").write_text(json.dumps(there))
    told = f"holds a run of 4 steps, .*: one of 8 is .*train.init_from={tmp_path} and"
    with pytest.raises(UserError, match=told):
        check_config(tmp_path, here)


def test_the_folder_of_a_sweep_is_refused_but_not_one_in_it(tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    check_config(tmp_path / "trial", {})
    with pytest.raises(UserError, match="holds a sweep, not a run"):
        check_config(tmp_path, {})


@pytest.mark.parametrize("trains", [False, True])
def test_a_trial_waits_for_the_one_before_it_to_stop(trains, tmp_path, monkeypatch):
    """As when a launcher is killed and started again at once."""
    monkeypatch.setenv("TOYS_NOTES", str(tmp_path))
    asked, config = dict(does="returns"), dict(seed=0) if trains else None
    path = "tests/launching/toys.py"
    made = trial.Trial("t", path, asked, config)
    folder = made.write(tmp_path, "command")
    before = contextlib.ExitStack()
    before.enter_context(claim(folder, config or asked))
    threading.Timer(0.5, before.close).start()
    if trains:
        with claim(folder, config, trial.PATIENCE):
            pass
    else:
        trial.measure(made, folder)
        assert (folder / "result.json").exists()
