"""Evaluation: padding, densities, and one compilation for all of them."""

import jax
import numpy as np
import pytest

from dynsparse.training.evaluation.evaluate import evaluate
from dynsparse.training.evaluation.forward import compile_forward
from tests.training import tiny


@pytest.fixture(scope="module")
def experiment():
    return tiny.prepared()


@pytest.fixture(scope="module")
def masked(experiment):
    return compile_forward(experiment.trainer)


def first(experiment, n):
    return experiment.task.test.take(np.arange(n))


def answers(experiment, forward, n, **arguments):
    arguments = dict(shows=n) | arguments
    state = experiment.initial_state
    return evaluate(forward, experiment, state, first(experiment, n), **arguments)


def opened(found):
    """Whether each unit ran for each example."""
    return found.shown[1]["body"] > 0


@pytest.mark.parametrize("n", [5, 16, 39])
def test_padding_changes_no_answer(experiment, masked, n):
    few, all_ = (answers(experiment, masked, size, density=0.5) for size in (n, 40))
    np.testing.assert_array_equal(few.shown[0], all_.shown[0][:n])
    np.testing.assert_array_equal(opened(few), opened(all_)[:n])


def test_scores_are_means_over_the_examples(experiment, masked):
    found = answers(experiment, masked, 39)
    labels = first(experiment, 39).arrays["label"]
    logits = found.shown[0].astype(np.float64)
    np.testing.assert_allclose(found.score, (logits.argmax(-1) == labels).mean())
    assert found.scores == dict(accuracy=found.score)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(found.loss, -logs[np.arange(39), labels].mean(), 1e-6)


@pytest.mark.parametrize("method", ["soft_topk", "gumbel_sigmoid"])
def test_counters_are_those_of_the_masks(method):
    experiment = tiny.prepared(method)
    forward = compile_forward(experiment.trainer, noise=True)
    found = answers(experiment, forward, 39)
    gate, mask = found.gates["body"], opened(found)
    np.testing.assert_array_equal(gate.opened, mask.sum(1))
    assert gate.count == len(gate.opened) == 39
    assert gate.histogram.sum() == mask.size
    np.testing.assert_allclose(gate.density, mask.mean())
    np.testing.assert_allclose(gate.open_prob.sum() * 49, gate.rate.sum(), rtol=1e-5)
    assert (
        (gate.least <= gate.rate / 39 + 1e-6) & (gate.rate / 39 <= 1e-6 + gate.most)
    ).all()


def test_what_evaluation_keeps_does_not_grow_with_the_units(experiment, masked):
    """No mask of a split: a few numbers an example, and a few a unit."""
    found = answers(experiment, masked, 40, shows=0)
    assert found.shown == (None, {})
    kept = sum(
        x.size for g in found.gates.values() for x in vars(g).values() if np.ndim(x)
    )
    assert kept <= 2 * 40 + 4 * 49 + 30


def test_densities_share_one_compilation(experiment):
    forward = compile_forward(experiment.trainer)
    answers(experiment, forward, 16, density=0.5)
    before = _compilations()
    counts = [
        answers(experiment, forward, 16, density=density).gates["body"].opened
        for density in (0.25, 0.75)
    ]
    assert _compilations() == before
    np.testing.assert_array_equal(counts[0], round(0.25 * 49))
    np.testing.assert_array_equal(counts[1], round(0.75 * 49))


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
    np.testing.assert_allclose(left.shown[0], right.shown[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(opened(left), opened(right))


def test_random_controls_replay_between_executions():
    experiment = tiny.prepared("random_topk")
    masked = compile_forward(experiment.trainer)
    view = dict(execution="compact", density=0.25)
    compact = compile_forward(experiment.trainer, **view)
    left = opened(answers(experiment, compact, 40))
    right = opened(answers(experiment, masked, 40, density=0.25))
    np.testing.assert_array_equal(left, right)
    assert len(np.unique(left, axis=0)) > 30


def test_another_seed_draws_other_units_on_the_same_images():
    experiment = tiny.prepared("random_topk")
    masked = compile_forward(experiment.trainer)
    one, again, other = (
        opened(
            evaluate(
                masked,
                experiment,
                experiment.initial_state | dict(key=jax.random.key(seed)),
                experiment.task.test,
                density=0.25,
                shows=40,
            )
        )
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any(-1).mean() > 0.9
