"""What the ablations look at in a run that was trained."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from configs import cluttered_digits
from dynsparse import training
from dynsparse.data import Arrays
from dynsparse.models.base.images import PatchGrid
from dynsparse.training.evaluation.calibration import shifted
from dynsparse.training.evaluation.curve import trace_curve
from experiments import (
    difficulty,
    mask_recovery,
    reaching_the_target,
    soft_to_hard_gap,
)
from tests.training import tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny run with a gate of a varying count."""
    config = tiny.config("binary_concrete")
    experiment = training.prepare(config)
    state = training.train(experiment, tmp_path_factory.mktemp("run"))
    return experiment, state, trace_curve(experiment, state, experiment.task.test)


def test_difficulty_looks_at_images_with_more_clutter(trained):
    rows = difficulty.examine(*trained)
    assert [row["images"] for row in rows] == list(difficulty.PICTURES)
    assert all(-1 <= row[name] <= 1 for row in rows for name in difficulty.FACTORS)
    (point,) = trained[2]
    np.testing.assert_allclose(rows[0]["accuracy"], point.answers.score)
    np.testing.assert_allclose(rows[0]["budget"], point.bill.budget)


def test_more_clutter_is_more_than_in_any_image_of_training():
    task = cluttered_digits.get_config().data.to_dict()
    split = difficulty._beyond(task, 300)
    assert 0 < len(split) < 300
    most = task["max_fragments"]
    fragments = split.arrays["clutter"] * most * difficulty.MORE
    assert fragments.min() == most + 1


def test_the_gap_is_training_less_evaluation(trained):
    (row,) = soft_to_hard_gap.examine(*trained)
    (point,) = trained[2]
    assert (row["accuracy"], row["budget"]) == (
        point.answers.score,
        point.bill.budget,
    )
    np.testing.assert_allclose(row["gap"], row["training"] - row["evaluation"])
    moved = shifted(trained[0], trained[1], 3.0)
    (again,) = soft_to_hard_gap.examine(trained[0], moved, trained[2])
    assert again == row  # as trained, wherever the scores are


def test_without_calibration_something_else_is_spent(tmp_path):
    changes = dict(budget__target=0.4)
    config = tiny.config("gumbel_sigmoid,,pi_controller", **changes)
    experiment = training.prepare(config)
    state = training.train(experiment, tmp_path)
    points = trace_curve(experiment, state, experiment.task.test)
    now, before = reaching_the_target.examine(experiment, state, points)
    assert now["scores"] == reaching_the_target.MOVED
    assert before["scores"] == reaching_the_target.TRAINED
    assert now["spent"] == points[0].bill.budget
    assert abs(before["spent"] - 0.4) > abs(now["spent"] - 0.4)


def test_recovery_is_that_of_the_points(trained):
    (row,) = mask_recovery.examine(*trained)
    (point,) = trained[2]
    (recovery,) = point.answers.recovery.values()
    assert row["recall"] == recovery.recall
    np.testing.assert_allclose(row["density"], point.density, atol=5e-4)


def test_the_best_fixed_tokens_are_those_of_an_exhaustive_search():
    rng = np.random.default_rng(0)
    grid = PatchGrid(2, 3, 4)
    pixels = rng.random((20, 2, 3)) < [[0.9, 0.5, 0.1], [0.2, 0.6, 0.3]]
    pixels[:, 0, 0] = True  # no image without any
    source = Arrays(dict(relevant=pixels.repeat(4, 1).repeat(4, 2)))
    task = SimpleNamespace(train=source, test=source)
    found = mask_recovery._fixed_recall(SimpleNamespace(task=task, grid=grid), 0.5)
    true = pixels.reshape(20, 6)
    recall = lambda some: np.mean(true[:, some].sum(1) / np.minimum(3, true.sum(1)))
    best = max(recall(list(some)) for some in itertools.combinations(range(6), 3))
    np.testing.assert_allclose(found, best, rtol=1e-6)
