"""What a sweep runs: names of trials, their configs, their devices; and mistakes."""

import os
import pathlib
import types

import jax
import pytest

from dynsparse import reports
from dynsparse.launching import UserError, main, places
from dynsparse.launching.experiment import SIZES, Sweep
from dynsparse.launching.trial import Trial, share_compiled
from tests.launching.commands import sweep_of
from tests.training import tiny

ROOT = pathlib.Path(__file__).parents[2]
ANY = ["sweep", "experiments/any_budget.py"]
CLOCK = ["sweep", "experiments/wall_clock.py"]
TRAINS = dict(
    config="configs/cluttered_digits.py:soft_topk",
    method="soft_topk",
    setting="budget .5",
    seed=3,
    overrides={"train.num_steps": 100},
)


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def trial(task="", **changes):
    sweep = Sweep(types.ModuleType("x"), "experiments/x.py", config=task)
    return sweep.trial(TRAINS | changes)


def test_a_trial_has_the_config_of_a_run():
    config = trial(overrides=tiny.SMALL).config
    assert config["data"]["num_train"] == 128
    assert config["gate"]["name"] == "soft_topk"
    assert config["seed"] == 3


def test_a_name_is_readable_stable_and_that_of_its_config():
    name = trial().name
    assert name.startswith("soft_topk/budget_.5/3-")
    assert trial(overrides={"train.num_steps": 100, "seed": 9}).name == name
    assert trial(config="configs/cluttered_digits.py").name == name  # the default
    others = [trial(overrides={}), trial(seed=4), trial(setting="other")]
    assert len({name, *(other.name for other in others)}) == 4


def test_names_never_leave_the_folder_of_the_sweep():
    made = trial(method="../..", setting="a/b", seed=0)
    assert made.name.startswith("_../a_b/0-") or made.name.startswith("_.._../a_b/0-")
    assert pathlib.PurePath(made.name).parts[0] not in ("..", ".")
    experiment = types.ModuleType("x")
    experiment.measure = dict
    measured = Sweep(experiment, "x.py").trial(dict(path="/a b/c" * 50))
    assert len(pathlib.PurePath(measured.name).parts) == 1
    assert len(measured.name) < 100


METRIC = reports.Metric()._asdict()


def test_rows_of_a_run_are_its_curve_without_what_is_nested():
    point = dict(density=0.5, accuracy=0.9, layers=dict(a=1), recovery=None)
    made = trial()
    assert made.rows(dict(curve=[point], metric=METRIC)) == [
        dict(
            method="soft_topk",
            setting="budget .5",
            seed=3,
            trial=made.name,
            density=0.5,
            accuracy=0.9,
            metric="accuracy (%)",
        )
    ]


def test_rows_of_an_examined_run_are_what_was_found():
    made, point = trial(), dict(density=0.5, accuracy=0.9)
    result = dict(
        metric=METRIC, curve=[point], examined=[dict(recall=0.7), dict(recall=0.8)]
    )
    front = dict(method="soft_topk", setting="budget .5", seed=3, trial=made.name)
    assert made.rows(result) == [front | dict(recall=0.7), front | dict(recall=0.8)]
    assert made.curve(result) == [front | point | dict(metric="accuracy (%)")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(colour="red"), "and nothing else; got config, method, setting"),
        (
            dict(config="configs/nothing.py"),
            "no such Python file: 'configs/nothing.py'",
        ),
        (dict(config=f"{TRAINS['config']}x"), "unknown method 'soft_topkx'; accepted"),
        (dict(overrides={"model.widht": 1}), ": model.widht: no such key; accepted: d"),
        (dict(overrides={"model.width": "wide"}), "wide"),
        (dict(setting={1, 2}), "not plain values"),
    ],
)
def test_a_trial_that_cannot_be_is_refused_with_its_call(changes, message):
    with pytest.raises(UserError, match=r"^add\(config='configs") as caught:
        trial(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["sweep", "experiments/nothing.py"], "no such Python file"),
        (["sweep", "experiments/wall_clock.py:huge"], "accepted: small, full"),
        ([*CLOCK, "--jobs=2"], "measures times, so its"),
        (["sweep", "experiments/readme.py"], "is no experiment: it has no sweep()"),
        ([*ANY, "--slurm=long"], "needs --limit"),
        ([*ANY, "--jobs=0"], "got '0'"),
        ([*ANY, "--colour=red"], "colour"),
        ([*ANY, "now"], "unexpected argument 'now'"),
        (
            [*ANY, "--config=configs/no.py"],
            "no such Python file: 'configs/no.py'",
        ),
        (
            [*ANY, "--config=configs/a.py:dense"],
            "names its own method; accepted: --config=configs/a.py",
        ),
        (
            ["sweep", "experiments/difficulty.py", "--config=configs/npz_images.py"],
            "examines what only its own images have recorded",
        ),
        (
            [
                "sweep",
                "experiments/difficulty.py",
                "--config.data.name=npz_images",
                "--dry_run",
            ],
            "--config.data.name=npz_images: experiments/difficulty.py examines what",
        ),
        (
            [*ANY, "--config.seed=1"],
            "a seed of its own",
        ),
        ([*ANY, "--config.train=1"], "train"),
        ([*ANY, "--config.model.widht=1"], "widht: no"),
        (
            [*ANY, "--config.a"],
            "--config.a needs a val",
        ),
        (
            ["sweep", "experiments/wall_clock.py", "--config.a=1"],
            "are measured, not tr",
        ),
        (["trial", "nowhere"], "is not the folder of a trial"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(flags, message, capsys):
    assert main([*flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_a_sweep_has_a_folder_of_its_own_where_none_is_named(capsys):
    assert main([*ANY, "--dry_run"]) == 0
    assert capsys.readouterr().out.endswith(" in runs/any_budget-small\n")


@pytest.mark.parametrize("size", SIZES)
def test_a_sweep_takes_another_task_and_other_values_for_all_its_trials(size):
    task, path = "--config=configs/npz_images.py", "--config.data.path=mine.npz"
    asked = f"experiments/gate_comparison.py:{size}"
    sweep = sweep_of(asked, task, path, "--config.train.num_steps=7")
    found, usual = sweep.trials(), sweep_of(asked).trials()
    assert len(found) == len(usual)
    assert {trial.asked["config"].partition(":")[0] for trial in found} == {
        "configs/npz_images.py"
    }
    for trial, before in zip(found, usual, strict=True):
        assert trial.config["data"]["path"] == "mine.npz"
        assert trial.config["train"]["num_steps"] == 7
        rest = dict(data=None, task=None, train=None)
        assert {**trial.config, **rest} == {**before.config, **rest}
        assert trial.name.rpartition("-")[0] == before.name.rpartition("-")[0]
    assert not {trial.name for trial in found} & {trial.name for trial in usual}
    assert sweep.asked == f"{asked} {task} {path} --config.train.num_steps=7"


def test_what_a_trial_asks_of_its_images_goes_with_them():
    overrides = {"data.num_train": 9, "train.num_steps": 9}
    made = trial(task="configs/npz_images.py", overrides=overrides)
    assert made.asked["overrides"] == {"train.num_steps": 9}
    assert made.asked["config"] == "configs/npz_images.py:soft_topk"


def test_changes_are_the_same_in_any_order():
    words = ["--config=configs/a.py", "--config.b=1", "--config.c=2", "--config.c=3"]
    task, one, *two = words
    sweep = sweep_of(*ANY[1:], *words)
    assert sweep == sweep_of(*two, one, *ANY[1:], task)
    assert sweep.words == words


def test_trials_that_become_the_same_run_are_refused():
    falls = "--config.temperature_schedule.final=1"
    with pytest.raises(UserError, match=f"are the same run under {falls}"):
        sweep_of("experiments/soft_to_hard_gap.py", falls).trials()


def environments(jobs):
    return [place.environment for place in places.places_here(jobs)]


def test_jobs_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
    assert environments(1) == [{}]
    two, four = environments(2), environments(4)
    assert [each["OMP_NUM_THREADS"] for each in two] == ["2", "2"]
    assert four[3]["NPROC"] == "1"


def test_jobs_take_turns_on_the_gpus(monkeypatch):
    monkeypatch.setattr(places, "devices", lambda: ["0", "3"])
    found = environments(3)
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == ["0", "3", "0"]
    assert {each["XLA_PYTHON_CLIENT_MEM_FRACTION"] for each in found} == {"0.450"}
    assert environments(2)[1] == {"CUDA_VISIBLE_DEVICES": "3"}


def test_trials_share_what_they_compile_where_the_user_says(tmp_path):
    seconds = jax.config.jax_persistent_cache_min_compile_time_secs
    key, users = "jax_compilation_cache_dir", jax.config.jax_compilation_cache_dir
    assert users
    share_compiled(tmp_path)
    assert jax.config.jax_compilation_cache_dir == users
    jax.config.update(key, None)
    try:
        share_compiled(tmp_path)
        found = jax.config.jax_compilation_cache_dir
    finally:
        jax.config.update(key, users)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)
    assert found.startswith(str(tmp_path / ".compiled"))


@pytest.mark.parametrize(
    ("given", "found"), [(None, ["0", "1"]), ("1", ["1"]), ("", [])]
)
def test_gpus_are_those_that_are_listed_and_visible(
    given, found, tmp_path, monkeypatch
):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert places.devices() == found


def test_trials_that_a_report_could_not_tell_apart_are_refused(tmp_path):
    module = types.ModuleType("twice")
    module.__file__, module.__doc__ = str(tmp_path / "x.py"), "Claim: none.\n\n"

    def adds(add, size):
        for steps in (100, 200):
            add(**TRAINS | dict(overrides={"train.num_steps": steps}))

    module.sweep = adds
    with pytest.raises(UserError, match="have the same method, setting and seed"):
        Sweep(module, "experiments/x.py").trials()


def test_code_that_the_folder_of_a_trial_names_runs_in_a_sweep_alone(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TOYS_NOTES", str(tmp_path))
    made = Trial("t", "tests/launching/toys.py", dict(does="returns"), None)
    folder = made.write(tmp_path, "command")
    assert main(["trial", str(folder)]) == 2
    assert "trial is for the processes of a sweep" in capsys.readouterr().err
    assert not (tmp_path / "calls").exists()
