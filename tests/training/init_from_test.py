"""Runs that start from the weights of another."""

import jax
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.folder.arrays import flatten
from dynsparse.training.folder.checkpoint import has_checkpoint
from tests.training import tiny


def trained(method, workdir, **changes):
    """The arrays after two steps of a tiny run."""
    config = tiny.config(method, train__num_steps=2, **changes)
    return flatten(training.train(training.prepare(config), workdir))


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("dense")
    return workdir, trained("dense", workdir)


def started(workdir, method="soft_topk", **changes):
    return training.prepare(
        tiny.config(method, train__init_from=str(workdir), **changes)
    )


def test_a_gated_run_starts_from_a_dense_one(dense):
    workdir, weights = dense
    experiment = started(workdir)
    state = flatten(experiment.initial_state)
    hosts = {name for name in weights if name.startswith("params/")}
    for name in hosts:
        np.testing.assert_array_equal(state[name], weights[name])
    new = {name for name in state if name.startswith("params/")} - hosts
    fresh = flatten(training.prepare(tiny.config()).initial_state)
    for name in new:
        assert "/scorer/" in name
        np.testing.assert_array_equal(state[name], fresh[name])
    assert experiment.notes == (
        f"train: {len(hosts)} arrays are those of {workdir}; {len(new)}, of what "
        "decides, are new",
    )


def test_its_step_and_its_optimizer_are_new(dense):
    state = started(dense[0]).initial_state
    assert int(state["step"]) == 0
    assert not any(leaf.any() for leaf in jax.tree.leaves(state["optimizer"]))


@pytest.mark.full
def test_averages_of_norms_come_along(tmp_path):
    small = dict(model__depth=8, model__width=4)
    weights = trained("dense,resnet", tmp_path, **small)
    state = flatten(started(tmp_path, "soft_topk,resnet", **small).initial_state)
    averages = [name for name in weights if name.endswith("/mean")]
    assert averages
    for name in averages:
        np.testing.assert_array_equal(state[name], weights[name])


@pytest.mark.full
def test_learned_gates_come_along_and_settings_of_gates_do_not(tmp_path):
    weights = trained("gumbel_sigmoid", tmp_path, gate__temperature=2.0)
    state = flatten(started(tmp_path, "gumbel_sigmoid").initial_state)
    (scorer, *_) = [name for name in weights if name.startswith("params/body/scorer/")]
    np.testing.assert_array_equal(state[scorer], weights[scorer])
    assert state["variables/body/gate/temperature"] == 1.0


@pytest.mark.full
def test_what_decided_there_is_left_there(tmp_path):
    trained("soft_topk", tmp_path)
    (note,) = started(tmp_path, "dense").notes
    assert "are new" not in note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(model__width=16), r"has shape \(.*8.*\) there, \(.*16.*\) here, and "),
        (dict(model__depth=2), r"has shape None there, .* here, and \d+ more do not"),
    ],
    ids=["wider", "deeper"],
)
def test_what_does_not_fit_is_named(dense, changes, message):
    config = tiny.config(**dict(train__init_from=str(dense[0])) | changes)
    with pytest.raises(ValueError, match=message):
        training.prepare(config)


def test_a_run_with_a_checkpoint_needs_the_other_no_longer(tmp_path, dense):
    state = training.train(started(dense[0], train__num_steps=2), tmp_path)
    assert has_checkpoint(tmp_path)
    gone = tiny.config(train__init_from="nowhere", train__num_steps=2)
    again = training.train(training.prepare(gone, resumed=True), tmp_path)
    jax.tree.map(np.testing.assert_array_equal, flatten(state), flatten(again))
