"""Calibration: what the validation split spends is what was asked for."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.evaluation import calibration
from dynsparse.training.evaluation.calibration import calibrate, shifted
from dynsparse.training.evaluation.evaluate import audit
from dynsparse.training.evaluation.forward import compile_forward
from tests.sampled import unless
from tests.training import tiny

OTHERS = (
    ("gumbel_sigmoid", 0.8),
    ("hard_concrete", 0.4),
    ("smooth_step", 0.4),
    ("smooth_step", 0.8),
)


def prepare(method, target, **changes):
    changes = {f"budget__{key}": value for key, value in changes.items()}
    changes["budget__target"] = target
    return training.prepare(tiny.config(f"{method},,pi_controller", **changes))


def spent(experiment, state, **view):
    split = experiment.task.validation
    forward = compile_forward(experiment.trainer, **view)
    return audit(experiment, state, split, forward=forward)[1].budget


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("gumbel_sigmoid", 0.4),
        ("hard_concrete", 0.8),
        *(pytest.param(*case, marks=unless(False)) for case in OTHERS),
    ],
)
def test_the_target_is_spent_in_both_executions(method, target):
    experiment = prepare(method, target)
    state = experiment.initial_state
    after = calibrate(experiment, state)
    assert abs(spent(experiment, state) - target) > 0.02  # it was to do
    # A unit of one of the twenty images is the least that can be moved.
    assert abs(spent(experiment, after) - target) < 0.003
    assert abs(spent(experiment, after, execution="compact") - target) < 0.003


def test_only_the_shift_moves_and_is_the_same_in_all_layers():
    changes = {"model__granularity": "blocks", "model__depth": 3}
    config = tiny.config("gumbel_sigmoid,,pi_controller", **changes)
    experiment = training.prepare(config)
    state = experiment.initial_state
    after = shifted(experiment, state, 0.75)
    moved = [
        (jax.tree_util.keystr(path), float(new))
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(state["variables"]),
            jax.tree.leaves(after["variables"]),
            strict=True,
        )
        if not np.array_equal(old, new)
    ]
    assert len(moved) == len(experiment.trainer.gates) > 1
    assert all("shift" in path and value == 0.75 for path, value in moved)
    assert after["params"] is state["params"]


def test_less_is_as_good_where_the_target_is_a_bound():
    experiment = prepare("gumbel_sigmoid", 0.999, upper_bound=True)
    state = shifted(experiment, experiment.initial_state, -0.5)
    assert spent(experiment, state) < 0.999
    assert calibrate(experiment, state) is state


@pytest.mark.parametrize("where", [-60.0, -18.0, 18.0, 60.0])
def test_scores_move_as_far_as_they_have_to(where, monkeypatch):
    experiment = prepare("gumbel_sigmoid", 0.6)

    def spends(experiment, state, split, **_):
        shift = float(experiment.trainer.model(state).body.shift[...])
        return None, SimpleNamespace(budget=0.6 + (shift - where) / 1000)

    monkeypatch.setattr(calibration, "audit", spends)
    after = calibrate(experiment, experiment.initial_state)
    assert abs(spends(experiment, after, None)[1].budget - 0.6) < 1e-3
    where = 300.0
    assert calibrate(experiment, after) is after


@pytest.mark.parametrize("method", ["sparsemax"])
def test_gates_that_only_compare_scores_stay_as_they_are(method):
    experiment = prepare(method, 0.9)
    assert calibrate(experiment, experiment.initial_state) is experiment.initial_state


def test_a_training_ends_with_it(tmp_path):
    experiment = prepare("gumbel_sigmoid", 0.6)
    state = training.train(experiment, tmp_path / "calibrated")
    assert abs(spent(experiment, state) - 0.6) < 0.003
    plain = prepare("gumbel_sigmoid", 0.6, calibrate=False)
    other = training.train(plain, tmp_path / "plain")
    assert abs(spent(plain, other) - 0.6) > 0.003
    for mine, its in zip(
        jax.tree.leaves(state["params"]), jax.tree.leaves(other["params"]), strict=True
    ):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize(("upper_bound", "found"), [(False, 0.62), (True, 0.3)])
def test_a_bound_is_kept_where_units_move_together(upper_bound, found, monkeypatch):
    """No shift spends the target: .62 is nearer than .3, and above it."""
    experiment = prepare("gumbel_sigmoid", 0.6, upper_bound=upper_bound)

    def spends(experiment, state, split, **_):
        shift = float(experiment.trainer.model(state).body.shift[...])
        spent = 1.0 if shift > 8 else 0.62 if shift > -0.3 else 0.3
        return None, SimpleNamespace(budget=spent)

    monkeypatch.setattr(calibration, "audit", spends)
    after = calibrate(experiment, experiment.initial_state)
    assert spends(experiment, after, None)[1].budget == found
