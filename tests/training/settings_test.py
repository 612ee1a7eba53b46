"""What a config may not say."""

import pytest

from dynsparse import training
from tests.training import tiny

MISTAKES = [
    (dict(gate__density=1.5), r"density must be in \[0, 1\], got 1.5"),
    (dict(gate__name="soft_topkk"), "unknown name 'soft_topkk'; accepted: b.*dense, "),
    (dict(model__name="vgg"), "models: unknown name 'vgg'; accepted: conv_vit"),
    (dict(data__name="mnist"), "data: unknown name 'mnist'; accepted: cluttered"),
    (dict(evaluation__densities=(0.5, 1.5)), r"densities must be within \[0, 1\]"),
    (
        dict(evaluation__budgets=(0.0,)),
        r"budgets must be within \(0, 1\], got \(0.0,\)",
    ),
    (dict(evaluation__budgets=(0.01,)), "budget 0.01 is below the floor"),
    (dict(train__batch_size=1000), "batch_size 1000 exceeds the 128 training"),
    (dict(train__num_steps=0), "train: num_steps must be >= 1, got 0"),
    (dict(optimizer__learning_rate=-1.0), "learning_rate must be > 0, got -1.0"),
    (dict(optimizer__clip_norm=0.0), "clip_norm must be > 0"),
    (dict(density_sampling__low=0.0), "low=0.0"),
    (dict(gate_optimizer__learning_rate_scale=0.0), "scale must be > 0, got 0.0"),
    (dict(gate__family="laplacian"), "unknown family 'laplacian'; accepted: logistic"),
    (
        dict(scorer__name="cnn"),
        "scorer: unknown name 'cnn'; accepted: linear, mlp, any_budget, static",
    ),
    (dict(scorer__name="static"), r"static takes the keys \[\], got \['hidden'\]"),
    (
        dict(temperature_schedule=dict(final=0.0, until=1.0)),
        "final must be > 0, got 0.0",
    ),
    (dict(model__granularity="blocks"), "takes gates whose count is varying or full"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=lambda c: str(c)[:50])
def test_mistakes_are_named_before_anything_runs(changes, message):
    with pytest.raises(ValueError, match=message):
        training.prepare(tiny.config(**changes))


@pytest.mark.parametrize(
    "section",
    ["train", "optimizer", "gate_optimizer", "evaluation", "density_sampling"],
)
def test_unknown_and_missing_keys_are_named(section):
    config = tiny.config()
    config[section]["colour"] = 3
    with pytest.raises(ValueError, match=f"{section}: unknown key 'colour'; accepted"):
        training.prepare(config)
    del config[section]["colour"]
    gone = next(iter(config[section]))
    del config[section][gone]
    with pytest.raises(ValueError, match=f"{section}: missing key '{gone}'"):
        training.prepare(config)


def test_a_curve_needs_a_point():
    config = tiny.config(evaluation__densities=(), evaluation__budgets=())
    with pytest.raises(ValueError, match="needs at least one density or budget"):
        training.prepare(config)
