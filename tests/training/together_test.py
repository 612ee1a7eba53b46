"""Runs that train together are the runs that they are alone."""

import dataclasses
import functools
import json
import os
import pathlib
import signal

import jax
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.batches import Batches
from tests.sampled import sampled
from tests.training import tiny

pytestmark = pytest.mark.usefixtures("optimized")
VARIANTS = {
    "soft_topk,,sandwich": (dict(seed=0), dict(seed=1)),
    "gumbel_sigmoid,,pi_controller": (dict(seed=3), dict(seed=4), dict(seed=5)),
    "ema_threshold": (dict(seed=0), dict(seed=1)),
    "gumbel_sigmoid,,mac_target": (
        dict(seed=0, budget__penalties__mac_target__weight=1.0),
        dict(seed=0, budget__penalties__mac_target__weight=50.0),
        dict(seed=1, budget__penalties__mac_target__weight=50.0),
    ),
}
USUAL = "gumbel_sigmoid,,mac_target"  # what differs is a weight or a seed


def configs(argument, **changes):
    return [
        tiny.config(argument, train__log_every=1, **variant, **changes)
        for variant in VARIANTS[argument]
    ]


def rows(folder: pathlib.Path):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def agree(together, alone, folders, others):
    """Same rows and states, up to the order in which XLA sums."""
    for folder, other in zip(folders, others, strict=True):
        for row, single in zip(rows(folder), rows(other), strict=True):
            assert row.keys() == single.keys()
            for name in ("loss", "density", "budget", "learning_rate"):
                if name in row:
                    np.testing.assert_allclose(row[name], single[name], rtol=2e-4)
    for state, single in zip(together, alone, strict=True):
        for name in ("params", "budget", "step"):
            leaves = jax.tree.leaves(state[name]), jax.tree.leaves(single[name])
            for a, b in zip(*leaves, strict=True):
                np.testing.assert_allclose(a, b, atol=2e-3)
        keys = (jax.random.key_data(each["key"]) for each in (state, single))
        np.testing.assert_array_equal(*keys)


@pytest.fixture(scope="module")
def alone(optimized, tmp_path_factory):
    """State and folder of each run of an argument, trained by itself."""

    @functools.cache
    def train(argument):
        folders = [tmp_path_factory.mktemp("alone") for _ in VARIANTS[argument]]
        states = [
            training.train(training.prepare(config), folder)
            for config, folder in zip(configs(argument), folders, strict=True)
        ]
        return states, folders

    return train


@pytest.mark.parametrize("argument", sampled(VARIANTS, [USUAL]))
def test_runs_together_agree_with_each_alone(argument, alone, tmp_path):
    folders = [tmp_path / str(index) for index in range(len(VARIANTS[argument]))]
    together = training.prepare_together(configs(argument))
    assert len({id(experiment.task) for experiment in together}) == 1
    states = training.train_together(together, folders)
    singles, others = alone(argument)
    agree(states, singles, folders, others)
    different = [rows(folder)[-2]["loss"] for folder in folders]
    assert len(set(different)) == len(different)


def test_runs_that_stopped_at_different_steps_end_all_the_same(alone, tmp_path):
    """One had come to its third step, the others had not begun."""

    class Stopped(Exception):
        pass

    def stop(self, index, reading=Batches.__getitem__):
        if index == 4:
            raise Stopped
        return reading(self, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "__getitem__", stop)
        with pytest.raises(Stopped):
            training.train(training.prepare(configs(USUAL)[1]), tmp_path / "1")
    folders = [tmp_path / name for name in "012"]
    together = training.prepare_together(configs(USUAL))
    states = training.train_together(together, folders)
    assert [int(state["step"]) for state in states] == [6, 6, 6]
    singles, others = alone(USUAL)
    agree(states, singles, folders, others)


def test_a_stop_in_the_last_step_of_some_stops_the_others(tmp_path):
    """The others are at another step, and so would follow."""
    first, *others = training.prepare_together(configs(USUAL))

    class Signalling(Batches):
        def __init__(self):
            pass

        def __getitem__(self, index):
            if index == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            return first.batches[index]

    later = first.initial_state | dict(step=jax.numpy.int32(4))
    asked = dataclasses.replace(first, initial_state=later, batches=Signalling())
    folders = [tmp_path / name for name in "abc"]
    with pytest.raises(training.Interrupted, match="stopped at step 0"):
        training.train_together([asked, *others], folders)
    assert (folders[0] / "checkpoints/6").is_dir()
    assert not (folders[1] / "metrics.jsonl").exists()


def test_the_run_whose_loss_is_not_finite_is_named(tmp_path):
    together = training.prepare_together(configs(USUAL))
    together[1].initial_state["budget"]["weights"][0] = jax.numpy.float32(jax.numpy.nan)
    with pytest.raises(FloatingPointError, match=r"b: the loss is nan at step 1"):
        training.train_together(together, [tmp_path / name for name in "abc"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(train__num_steps=7), "differ in `seed` and in the weights"),
        (
            dict(budget__penalties__mac_target__target=0.4),
            "differ in `seed` and in the weigh",
        ),
    ],
)
def test_other_differences_are_refused(change, words):
    both = [tiny.config(USUAL), tiny.config(USUAL, **change)]
    with pytest.raises(ValueError, match=words):
        training.prepare_together(both)


def test_runs_together_have_one_device(tmp_path):
    both = configs("soft_topk,,sandwich", train__num_devices=2)
    with pytest.raises(ValueError, match="num_devices must be 1 for runs that train"):
        training.train_together(
            training.prepare_together(both), [tmp_path / "a", tmp_path / "b"]
        )
