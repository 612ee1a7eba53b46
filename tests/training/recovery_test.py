"""Precision and recall of kept patches."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.gates import GateOutput
from dynsparse.models.base.images import PatchGrid
from dynsparse.training.evaluation.recovery import recoveries, score_recovery


def scored(kept, true):
    found = score_recovery(*map(jnp.asarray, (kept, true)), jnp.ones(len(true)))
    return SimpleNamespace(**{name: float(mean.value) for name, mean in found.items()})


def test_patches_count_where_half_lies_on_the_object():
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 2:6, 4:8] = True  # half of each patch of the right column
    np.testing.assert_array_equal(
        PatchGrid(2, 2, 4).mostly(jnp.asarray(mask)), [[0, 1, 0, 1]]
    )
    mask[0, 2, 4] = False
    np.testing.assert_array_equal(
        PatchGrid(2, 2, 4).mostly(jnp.asarray(mask)), [[0, 0, 0, 1]]
    )


def test_patches_may_overhang_the_far_edges():
    mask = np.ones((1, 5, 9), bool)
    np.testing.assert_array_equal(
        PatchGrid(2, 3, 4).mostly(jnp.asarray(mask)), [[1, 1, 0, 0, 0, 0]]
    )  # a quarter of a patch, or less, lies on the image elsewhere


@pytest.mark.parametrize(
    ("kept", "precision", "recall"),
    [
        ([1, 1, 0, 0, 0, 0, 0, 0], 1.0, 1.0),  # 2 of 4 true ones: all that 2 can find
        ([1, 0, 0, 0, 0, 0, 0, 1], 0.5, 0.5),
        ([1, 1, 1, 1, 1, 1, 0, 0], 4 / 6, 1.0),
        ([0, 0, 0, 0, 1, 1, 1, 1], 0.0, 0.0),
    ],
)
def test_scores_of_one_example(kept, precision, recall):
    true = np.array([[1, 1, 1, 1, 0, 0, 0, 0]], bool)
    found = scored(np.array([kept], bool), true)
    reached = [found.precision, found.recall]
    np.testing.assert_allclose(reached, [precision, recall], rtol=1e-6)


def test_random_scores_are_their_expectation():
    rng = np.random.default_rng(0)
    true = rng.random((500, 20)) < rng.uniform(0.1, 0.9, (500, 1))
    order = rng.random((200, 500, 20)).argsort(-1)
    runs = [scored(ranks < 7, true) for ranks in order]
    mean = lambda name: np.mean([getattr(run, name) for run in runs])
    np.testing.assert_allclose(mean("precision"), runs[0].random_precision, atol=0.003)
    np.testing.assert_allclose(mean("recall"), runs[0].random_recall, atol=0.003)


def test_examples_that_keep_nothing_are_left_out():
    true = np.array([[1, 0], [1, 0]], bool)
    found = scored(np.array([[1, 0], [0, 0]], bool), true)
    assert (found.precision, found.recall) == (1, 1)
    nothing = scored(np.zeros((2, 2), bool), true)
    assert np.isnan(nothing.precision)


@pytest.mark.parametrize(
    ("shape", "found"),
    [((6,), True), ((6, 1), True), ((7,), False), ((6, 2), False), ((1, 6), False)],
)
def test_gates_that_decide_once_a_place_are_scored(shape, found):
    mask = jnp.ones((3, *shape))
    decisions = dict(gate=GateOutput(mask, mask))
    scores = recoveries(decisions, jnp.ones((3, 6), bool), jnp.ones(3), None)
    assert set(scores) == ({"gate"} if found else set())


def test_tokens_before_those_of_the_image_are_left_out():
    grid = PatchGrid(2, 2, 4, others=1)
    relevant = np.zeros((1, 8, 8), bool)
    relevant[0, :4, :4] = True
    mask = jnp.array([[1.0, 1.0, 0.0, 0.0, 0.0]])
    decisions = dict(gate=GateOutput(mask, mask))
    true = jnp.asarray(relevant)
    (found,) = recoveries(decisions, true, jnp.ones(1), grid).values()
    assert float(found["precision"].value) == float(found["recall"].value) == 1
