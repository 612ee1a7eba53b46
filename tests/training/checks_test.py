"""A run checks the gradient that its compiled step computes."""

import re

import jax
import jax.numpy as jnp
import pytest

from dynsparse import training
from dynsparse.training import program
from dynsparse.training.checks import CHECKED, WrongGradientError
from dynsparse.training.step import Trainer
from tests.training.tiny import config

if jax.version.__version_info__ < (0, 12):  # what tests/conftest.py turns off

    @pytest.fixture(autouse=True, scope="module")
    def emitters():
        """The kernels of one operation each are right by these emitters alone."""
        options = program.UNFUSED | dict(xla_cpu_use_fusion_emitters=True)
        step = jax.jit(
            program._stepped, static_argnums=(0, 1), compiler_options=options
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(program, "_unfused", step)
            yield


@pytest.fixture(scope="module")
def experiment():
    return training.prepare(config("dense", train__check_first_step=True))


def losing(wrong):
    """A compiled step that loses a column of one parameter's gradient where `wrong`."""

    def step(trainer, several, state, images, labels):
        state, metrics = right(trainer, several, state, images, labels)
        bad = wrong(int(state["step"]))

        def lose(path, leaf):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            hit = bad and "/mu/" in name and name.endswith("mlp/down/kernel")
            return leaf.at[:, 0].set(0) if hit else leaf

        tree = jax.tree_util.tree_map_with_path(lose, state["optimizer"])
        return state | dict(optimizer=tree), metrics

    right = program._step
    return step


def test_a_step_that_loses_a_gradient_stops_the_run(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(program, "_step", losing(lambda step: True))
    with pytest.raises(WrongGradientError, match=r"mlp/down/kernel is off by \d+% of"):
        training.train(experiment, tmp_path)


def test_one_step_apart_is_a_decision_on_the_edge(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(program, "_step", losing(lambda step: step < CHECKED))
    checked = []
    unfused = program._unfused
    monkeypatch.setattr(
        program, "_unfused", lambda *a: checked.append(1) or unfused(*a)
    )
    training.train(experiment, tmp_path)
    assert len(checked) == CHECKED


def test_the_check_runs_a_kernel_for_each_operation(experiment):
    arguments = (experiment.trainer, False, experiment.initial_state)
    names = [
        re.findall(
            r"%(\w+?)[.\d]* = \S+ fusion\(",
            step.lower(*arguments, *experiment.batches[0]).compile().as_text(),
        )
        for step in (program._step, program._unfused)
    ]
    several = [[n for n in found if not re.match("wrapped_|ynn", n)] for found in names]
    assert several[0]
    assert not several[1]


def test_what_is_not_finite_is_left_to_the_loop(experiment, tmp_path, monkeypatch):
    def step(self, state, images, labels, right=Trainer.step):
        state, metrics = right(self, state, images, labels)
        poisoned = jax.tree.map(lambda leaf: leaf * jnp.nan, state["params"])
        loss = metrics["loss"] * jnp.nan
        return state | dict(params=poisoned), metrics | dict(loss=loss)

    other = training.prepare(
        config("dense", train__check_first_step=True, optimizer__clip_norm=3.5)
    )
    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        training.train(other, tmp_path)
