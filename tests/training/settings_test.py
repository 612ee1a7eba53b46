"""What a config may not say."""

import pytest

from dynsparse import training
from tests.training import tiny

CONSTRAINT = dict(
    target=0.5,
    at_most=False,
    leak=0.0,
    look_every=5,
    look_from=0.5,
    calibrate=False,
    controller=dict(
        name="dual_ascent", rate=0.1, restart=False, initial=0.0, largest=9.0
    ),
)
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
    (dict(train__num_devices=99), "num_devices must be at most 2, as many as there"),
    (
        dict(train__num_devices=2, train__batch_size=15),
        "batch_size must be a multiple of num_devices=2, got 15",
    ),
    (dict(train__num_steps=0), "train: num_steps must be >= 1, got 0"),
    (dict(seed=-1), r"seed must be an integer in \[0, 2\^32\), got -1"),
    (dict(scorer__hidden=0), "scorer: hidden must be at least 1, got 0"),
    (dict(model__num_heads=0), "num_heads must be at least 1, got 0"),
    (dict(model__mlp_width=0), "mlp_width must be at least 1, got 0"),
    (dict(model__width=1), "width must be at least 2, got 1"),
    (
        dict(model=dict(name="decoder")),
        "models: decoder takes no image_shape, num_classes, which it is given here",
    ),
    (dict(optimizer__learning_rate=-1.0), "learning_rate must be > 0, got -1.0"),
    (dict(optimizer__clip_norm=0.0), "clip_norm must be > 0"),
    (dict(density_sampling__low=0.0), "low=0.0"),
    (dict(density_sampling=dict(low=0.1, high=1.0)), "sampling: needs the key 'name'"),
    (
        dict(penalties=dict(unity=dict(weight=1.0))),
        "penalties: unknown name 'unity'; accepted: batch_shaping",
    ),
    (
        dict(distillation=dict(weight=0.5, temperature=1.0, features=0.0)),
        "distillation: needs a density_sampling of several passes",
    ),
    (
        dict(
            density_sampling=None,
            density_ramp=dict(form="cubic", start=0.0, until=0.5),
        ),
        "density_ramp: there is neither a density_sampling nor a budget_constraint",
    ),
    (
        dict(budget_constraint=CONSTRAINT | dict(target=0.05)),
        r"budget_constraint: target 0.05 is below the floor of the model: 0\.\d+",
    ),
    (
        dict(budget_constraint=CONSTRAINT | dict(target=2.0)),
        r"budget_constraint: target must be in \(0, 1\], got 2.0",
    ),
    (
        dict(budget_constraint=CONSTRAINT),
        "budget_constraint: moves gates of a varying .* of this model are SoftTopk",
    ),
    (
        dict(penalties=dict(target_rate=dict(target=0.5, weight=1.0))),
        "target_rate: moves gates of a varying .* of this model are SoftTopk",
    ),
    (dict(gate_optimizer=None), "gate_optimizer must be a section of keys for gates"),
    (
        dict(scorer=dict(name="magnitude")),
        "gate_optimizer: no gate or scorer of the model has parameters; accepted: None",
    ),
    (
        dict(scorer=dict(name="static")),
        "weight_decay is of matrices, .* accepted: 0.0, got 0.05",
    ),
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
    (dict(model__granularity="width"), "scorer: the slices of a width are nested and"),
    (dict(model__granularity="blocks"), "takes gates whose count is varying or full"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=lambda c: str(c)[:50])
def test_mistakes_are_named_before_anything_runs(changes, message):
    with pytest.raises(ValueError, match=message):
        training.prepare(tiny.config(**changes))


@pytest.mark.parametrize(
    "section",
    ["train", "optimizer", "gate_optimizer", "evaluation"],
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


def test_unknown_and_missing_sections_are_named():
    config = tiny.config()
    config["optimiser"] = config.pop("optimizer")
    with pytest.raises(
        ValueError,
        match="missing: optimizer; unknown: optimiser; accepted: seed, names, data",
    ):
        training.prepare(config)


def test_a_curve_needs_a_point():
    config = tiny.config(evaluation__densities=(), evaluation__budgets=())
    with pytest.raises(ValueError, match="needs at least one density or budget"):
        training.prepare(config)


@pytest.mark.parametrize("method", ["gumbel_sigmoid", "dense", "ema_threshold"])
def test_points_of_a_curve_are_refused_for_a_gate_without_a_density(method):
    config = tiny.config(method)
    assert tuple(config["evaluation"]["densities"]) == ()
    config["evaluation"] |= dict(densities=(0.5, 0.25), budgets=(0.7,))
    told = (
        rf"^evaluation: densities \(0.5, 0.25\) and budgets \(0.7,\) change nothing: "
        rf"{method} has no density, .*accepted: \(\) for both"
    )
    with pytest.raises(ValueError, match=told):
        training.prepare(config)


def test_a_target_of_a_penalty_lies_above_the_floor():
    penalty = dict(mac_target=dict(target=0.05, weight=1.0, bounds_until=0.3))
    with pytest.raises(ValueError, match="mac_target: target 0.05 is below the floor"):
        training.prepare(tiny.config("gumbel_sigmoid", penalties=penalty))


def test_random_gates_are_moved_by_nothing():
    with pytest.raises(ValueError, match="of this model are RandomBernoulli"):
        training.prepare(tiny.config("random_bernoulli,,pi_controller"))


def test_a_warm_up_that_is_longer_than_the_run_shrinks_and_says_so():
    experiment = training.prepare(tiny.config(optimizer__warmup_steps=6))
    assert experiment.settings.optimizer.warmup_steps == 1
    (note,) = experiment.notes
    assert "warmup_steps=6 leaves nothing of 6 steps; they are 1 here" in note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(model__depth=65536), "model: depth must be at most 1024, got 65536"),
        (dict(model__width=10**6, model__mlp_width=10**6), "model: .* is too large"),
        (dict(data__num_train=2**31 - 1), "data: num_train=.* is too large"),
        (dict(scorer__hidden=2**31 - 1, model__width=1000), "hidden=.* too large"),
        (dict(gate__density=0.5), "density 0.5 changes nothing beside a density_samp"),
        (dict(train__init_from="nowhere"), "init_from: nowhere has no checkpoint"),
        (dict(train__init_from="x" * 5000), "init_from: x{200} has no checkpoint"),
    ],
)
def test_what_a_config_tells_is_named_before_data_are_made(
    changes, message, monkeypatch
):
    monkeypatch.setattr("dynsparse.data.from_config", lambda _: pytest.fail("made"))
    with pytest.raises(ValueError, match=message):
        training.prepare(tiny.config(**changes))
