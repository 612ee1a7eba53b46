"""A run checks the gradient that its compiled step computes."""

import re

import jax
import jax.numpy as jnp
import pytest

from dynsparse import training
from dynsparse.training import program
from dynsparse.training.checks import CHECKED, WrongGradientError
from dynsparse.training.program import Program
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


def changed(name, change):
    """A compiled step of `program` whose result is changed, without another one."""
    right = getattr(program, name)
    return lambda *arguments: change(*right(*arguments))


def losing(wrong):
    """Loses a column of one parameter's gradient where `wrong`."""

    def change(state, metrics):
        bad = wrong(int(state["step"]))

        def lose(path, leaf):
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            hit = bad and "/mu/" in name and name.endswith("mlp/down/kernel")
            return leaf.at[:, 0].set(0) if hit else leaf

        tree = jax.tree_util.tree_map_with_path(lose, state["optimizer"])
        return state | dict(optimizer=tree), metrics

    return changed("_step", change)


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
    run = Program([experiment])  # whose programs the other tests have compiled
    state = run.begin([experiment.initial_state])
    arguments = (experiment.trainer, False, state, run._read(0))
    names = [
        re.findall(
            r"%(\w+?)[.\d]* = \S+ fusion\(",
            step.lower(*arguments).compile().as_text(),
        )
        for step in (program._step, program._unfused)
    ]
    several = [[n for n in found if not re.match("wrapped_|ynn", n)] for found in names]
    assert several[0]
    assert not several[1]


def test_what_is_not_finite_is_left_to_the_loop(experiment, tmp_path, monkeypatch):
    def poison(state, metrics):
        spoilt = {name: spoil(state[name]) for name in ("params", "optimizer")}
        return state | spoilt, metrics | dict(loss=jnp.nan)

    spoil = lambda tree: jax.tree.map(
        lambda leaf: leaf * jnp.nan if leaf.dtype == jnp.float32 else leaf, tree
    )
    for name in ("_step", "_unfused"):
        monkeypatch.setattr(program, name, changed(name, poison))
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        training.train(experiment, tmp_path)
