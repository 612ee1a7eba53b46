"""Evaluation: padding, densities, and one compilation for all of them."""

import jax
import numpy as np
import pytest

from dynsparse.training.evaluation.evaluate import compile_forward, evaluate
from tests.training import tiny


@pytest.fixture(scope="module")
def experiment():
    return tiny.prepared()


@pytest.fixture(scope="module")
def masked(experiment):
    return compile_forward(experiment.trainer)


def answers(experiment, forward, n, **arguments):
    state, split = experiment.initial_state, experiment.dataset.test.take(np.arange(n))
    return evaluate(forward, state, split, batch_size=16, **arguments)


@pytest.mark.parametrize("n", [5, 16, 39])
def test_padding_changes_no_answer(experiment, masked, n):
    few, all_ = (answers(experiment, masked, size, density=0.5) for size in (n, 40))
    np.testing.assert_array_equal(few.predictions, all_.predictions[:n])
    np.testing.assert_array_equal(few.masks["body"], all_.masks["body"][:n])


def test_accuracy_is_the_share_of_right_predictions(experiment, masked):
    found = answers(experiment, masked, 40)
    right = found.predictions == experiment.dataset.test.labels
    assert found.accuracy == right.mean()


def test_densities_share_one_compilation(experiment):
    forward = compile_forward(experiment.trainer)
    answers(experiment, forward, 16, density=0.5)
    before = _compilations()
    opened = [
        answers(experiment, forward, 16, density=density).masks["body"].sum(-1)
        for density in (0.25, 0.75)
    ]
    assert _compilations() == before
    np.testing.assert_array_equal(opened[0], round(0.25 * 49))
    np.testing.assert_array_equal(opened[1], round(0.75 * 49))


_COUNT = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, *_, **__: _COUNT.append(event) if "backend_compile" in event else None
)


def _compilations():
    return len(_COUNT)


@pytest.mark.parametrize("density", [0.25, 1.0])
def test_compact_and_masked_evaluation_agree(experiment, masked, density):
    view = dict(execution="compact", density=density)
    compact = compile_forward(experiment.trainer, **view)
    left = answers(experiment, compact, 40)
    right = answers(experiment, masked, 40, density=density)
    np.testing.assert_array_equal(left.predictions, right.predictions)
    np.testing.assert_array_equal(left.masks["body"], right.masks["body"])


def test_random_controls_replay_between_executions():
    experiment = tiny.prepared("random_topk")
    masked = compile_forward(experiment.trainer)
    view = dict(execution="compact", density=0.25)
    compact = compile_forward(experiment.trainer, **view)
    left = answers(experiment, compact, 40).masks["body"]
    right = answers(experiment, masked, 40, density=0.25).masks["body"]
    np.testing.assert_array_equal(left, right)
    assert len(np.unique(left, axis=0)) > 30


def test_another_seed_draws_other_units_on_the_same_images():
    experiment = tiny.prepared("random_topk")
    masked = compile_forward(experiment.trainer)
    one, again, other = (
        evaluate(
            masked,
            experiment.initial_state | dict(key=jax.random.key(seed)),
            experiment.dataset.test,
            batch_size=16,
            density=0.25,
        ).masks["body"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any(-1).mean() > 0.9
