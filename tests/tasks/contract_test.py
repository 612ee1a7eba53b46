"""The contract of tasks, one row a task: it trains, is billed, and resumes."""

import functools
import importlib
import json
import pathlib
import shutil
import tempfile

import jax
import numpy as np
import pytest

import configs
from dynsparse import data, tasks, testing, training
from dynsparse.gates import evaluating

SIZES = dict(num_train=24, num_validation=9, num_test=9)
SMALL = {
    "train.num_steps": 3,
    "train.batch_size": 8,
    "train.log_every": 1,
    "train.eval_every": 3,
    "train.checkpoint_every": 1,
    "train.check_first_step": False,
    "evaluation.batch_size": 4,
    "evaluation.latency_repeats": 1,
    "model.depth": 1,
    "model.width": 8,
    "model.num_heads": 2,
    "model.mlp_width": 8,
    "scorer.hidden": 2,
}
ROWS = dict(  # configs of tasks, and what makes their data small
    cluttered_digits=dict(canvas=16, digit_size=8),
    associative_recall=dict(length=16, num_pairs=2, vocabulary=16),
    needle=dict(length=8, vocabulary=8),
    selective_copy=dict(length=12, num_copied=2, vocabulary=8),
    parity=dict(length=6),
    friedman={},
    text=dict(length=8, stride=8),
)
SAMPLE = (("needle", "gumbel_sigmoid"), ("friedman", "random_topk"))  # of methods
RELEVANT = ("cluttered_digits", "associative_recall", "needle", "selective_copy")


@functools.cache
def text():
    """A file of letters, digits and lines."""
    folder = pathlib.Path(tempfile.mkdtemp())
    path = folder / "text.txt"
    letters = np.random.default_rng(0).choice(list("abcde 12\n"), 600)
    path.write_text("".join(letters))
    return str(path)


def config(name, method="soft_topk"):
    found = importlib.import_module(f"configs.{name}").get_config(method)
    small = {**SMALL, **{f"data.{k}": v for k, v in (SIZES | ROWS[name]).items()}}
    sections = found.to_dict()
    if name == "text":
        small["data.path"] = text()
    with found.unlocked():
        if sections["evaluation"]["densities"]:
            small |= {"evaluation.densities": (1.0, 0.5), "evaluation.budgets": ()}
        found.update_from_flattened_dict(
            {
                key: value
                for key, value in small.items()
                if key.rpartition(".")[2] in sections[key.partition(".")[0]]
            }
        )
    return found.to_dict()


@pytest.fixture(scope="module", params=ROWS)
def run(request, tmp_path_factory):
    """Name, prepared run, last state, folder and result of a tiny training."""
    made, folder = config(request.param), tmp_path_factory.mktemp(request.param)
    prepared = training.prepare(made)
    state = training.train(prepared, folder)
    result = training.finish(prepared, state, folder, made, request.param)
    return request.param, prepared, state, folder, result


def test_losses_and_scores_keep_the_contract(run, as_users_call):
    _, prepared, state, *_ = run
    testing.check_task(prepared.task, evaluating(prepared.trainer.model(state)))


def test_a_run_has_a_bill_and_a_curve_of_its_metric(run):
    _, prepared, _, folder, result = run
    assert [point["budget"] for point in result["curve"]] == sorted(
        (point["budget"] for point in result["curve"]), reverse=True
    )
    metric = prepared.task.metric
    assert result["metric"]["name"] == metric
    assert all(point["score"] == point[metric] for point in result["curve"])
    assert (folder / "curve.png").exists()


def test_gates_over_places_are_held_against_what_is_relevant(run):
    name, *_, result = run
    for point in result["curve"]:
        assert bool(point["recovery"]) == (name in RELEVANT)
        for found in point["recovery"].values():
            assert 0 <= found["precision"] <= 1
            np.testing.assert_allclose(found["random_recall"], point["density"], 0.2)


def test_a_resumed_run_ends_with_the_same_bits(run, tmp_path):
    _, prepared, state, folder, _ = run
    again = shutil.copytree(folder, tmp_path / "run")
    for step in (2, 3):
        shutil.rmtree(again / "checkpoints" / str(step))
    resumed = training.train(training.prepare(prepared.config), again)
    numbers = lambda found: found | dict(key=jax.random.key_data(found["key"]))
    jax.tree.map(np.testing.assert_array_equal, numbers(resumed), numbers(state))


def test_a_run_is_restored_without_its_data(run):
    _, prepared, state, folder, _ = run
    restored = training.restore(folder)
    batch = data.read_batch(prepared.task.test, [0, 1])
    seen = {k: v for k, v in batch.items() if k not in ("label", "target", "relevant")}
    outputs = restored(seen)
    assert jax.tree.leaves(outputs)[0].shape[0] == 2
    assert restored.task.facts == prepared.task.facts


@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(
            name,
            method,
            marks=[] if (name, method) in SAMPLE else pytest.mark.full,
        )
        for name in ("needle", "friedman")
        for method in sorted(configs.METHODS)
    ],
)
def test_every_method_trains_on_other_tasks_than_images(name, method, tmp_path):
    prepared = training.prepare(config(name, method))
    training.train(prepared, tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    rows = map(json.loads, lines)
    assert all(np.isfinite(row["loss"]) for row in rows if row["split"] == "train")


def test_every_task_has_a_row():
    assert {config(name)["task"]["name"] for name in ROWS} == set(tasks.available())
