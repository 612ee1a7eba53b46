"""Precision and recall of kept patches."""

import numpy as np
import pytest

from dynsparse.models.base.images import PatchGrid
from dynsparse.training.evaluation.recovery import score_recovery, true_patches


def test_patches_count_where_half_lies_on_the_object():
    mask = np.zeros((1, 8, 8), bool)
    mask[0, 2:6, 4:8] = True  # half of each patch of the right column
    np.testing.assert_array_equal(
        true_patches(mask, PatchGrid(2, 2, 4)), [[0, 1, 0, 1]]
    )
    mask[0, 2, 4] = False
    np.testing.assert_array_equal(
        true_patches(mask, PatchGrid(2, 2, 4)), [[0, 0, 0, 1]]
    )


def test_patches_may_overhang_the_far_edges():
    mask = np.ones((1, 5, 9), bool)
    np.testing.assert_array_equal(
        true_patches(mask, PatchGrid(2, 3, 4)), [[1, 1, 0, 0, 0, 0]]
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
    found = score_recovery(np.array([kept], bool), true)
    np.testing.assert_allclose([found.precision, found.recall], [precision, recall])


def test_random_scores_are_their_expectation():
    rng = np.random.default_rng(0)
    true = rng.random((500, 20)) < rng.uniform(0.1, 0.9, (500, 1))
    order = rng.random((200, 500, 20)).argsort(-1)
    runs = [score_recovery(ranks < 7, true) for ranks in order]
    mean = lambda name: np.mean([getattr(run, name) for run in runs])
    np.testing.assert_allclose(mean("precision"), runs[0].random_precision, atol=0.003)
    np.testing.assert_allclose(mean("recall"), runs[0].random_recall, atol=0.003)


def test_examples_that_keep_nothing_are_left_out():
    true = np.array([[1, 0], [1, 0]], bool)
    found = score_recovery(np.array([[1, 0], [0, 0]], bool), true)
    assert (found.precision, found.recall) == (1, 1)
    nothing = score_recovery(np.zeros((2, 2), bool), true)
    assert np.isnan(nothing.precision)
