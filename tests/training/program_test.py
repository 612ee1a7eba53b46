"""Runs whose trainers are equal are stepped and evaluated by one program."""

import jax
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.evaluation.forward import compile_forward
from dynsparse.training.program import Program
from dynsparse.training.step import Trainer
from tests.training.tiny import config
from tests.training.tiny import prepared as prepared_run


@pytest.fixture(scope="module")
def prepared():
    return prepared_run()


@pytest.mark.parametrize(
    "changes", [dict(seed=1), dict(train__log_every=3), dict(gate__temperature=0.3)]
)
def test_trainers_that_step_alike_are_equal(prepared, changes):
    other = prepared_run(**changes)
    assert prepared.trainer == other.trainer
    assert hash(prepared.trainer) == hash(other.trainer)


@pytest.mark.parametrize(
    "changes",
    [
        dict(optimizer__learning_rate=1e-4),
        dict(train__num_steps=7),
        dict(budget__sampling__low=0.3),
        dict(model__mlp_width=12),
        dict(scorer__hidden=5),
    ],
)
def test_trainers_that_step_otherwise_are_not(prepared, changes):
    assert prepared.trainer != training.prepare(config(**changes)).trainer


def test_a_second_run_is_traced_no_more(prepared, monkeypatch):
    traced, step = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda *a: traced.append(1) or step(*a))
    losses = []
    for seed in (0, 1):
        run = training.prepare(config(seed=seed, optimizer__clip_norm=2.5))
        program = Program([run])
        _, metrics = program.step(program.begin([run.initial_state]), 0)
        losses.append(float(metrics["loss"]))
    assert len(traced) == 1
    assert losses[0] != losses[1]  # of their own weights and images


def test_evaluation_answers_with_the_weights_of_its_own_run(prepared):
    batch, key = prepared.task.test.read_batch(range(16)), jax.random.key(0)
    other = prepared_run(seed=1)
    answer = lambda run: compile_forward(run.trainer)(
        run.initial_state, batch, key, 0.5
    )[0]
    assert np.abs(answer(prepared) - answer(other)).max() > 1e-3
