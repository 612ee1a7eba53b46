"""What a config may not say."""

import pytest

from dynsparse import training
from tests.training import tiny

CONSTRAINED = dict(
    name="constrained",
    target=0.5,
    upper_bound=False,
    leak=0.0,
    measure_every=5,
    measure_from=0.5,
    calibrate=False,
    controller=dict(
        name="dual_ascent", rate=0.1, restart=False, initial=0.0, largest=9.0
    ),
)
UNIFORM = dict(name="uniform", low=0.1, high=1.0, full=0.0)
DISTILLED = dict(weight=0.5, temperature=1.0, features=0.0)
TARGET = dict(target_rate=dict(target=0.5, weight=1.0))
MAC_TARGET = dict(target=0.05, weight=1.0, bounds_until=0.3)
MISTAKES = [
    (
        dict(budget=dict(name="fixed", density=1.5)),
        r"budget: fixed: density must be in \[0, 1\], got 1.5",
    ),
    (
        dict(gate=dict(name="hard_topk", density=0.5)),
        "gate: the density is the budget's; accepted: budget.density .* got 0.5 here",
    ),
    (dict(gate__name="soft_topkk"), "unknown name 'soft_topkk'; accepted: b.*dense, "),
    (dict(model__name="vgg"), "models: unknown name 'vgg'; accepted: conv_vit"),
    (dict(data__name="mnist"), "data: unknown name 'mnist'; accepted: associative"),
    (
        dict(evaluation__densities=(0.5, 1.5)),
        r"densities must be a tuple, each value in \[0, 1\]",
    ),
    (
        dict(evaluation__budgets=(0.0,)),
        r"budgets must be a tuple, each value in \(0, 1\], got \(0.0,\)",
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
        dict(model=dict(name="decoder", granularity="width")),
        "models: decoder takes no image_shape, num_classes, which it is given here",
    ),
    (dict(optimizer__learning_rate=-1.0), "learning_rate must be > 0, got -1.0"),
    (dict(optimizer__clip_norm=0.0), "clip_norm must be > 0"),
    (
        dict(budget__sampling__low=0.0),
        r"budget.sampling: log_uniform: low must be in \(0, 1\], got 0.0",
    ),
    (
        dict(budget__sampling=dict(low=0.1, high=1.0)),
        "budget.sampling: needs the key 'name'; accepted: log_uniform, sandwich",
    ),
    (dict(budget__sampling=UNIFORM | dict(high=0.05)), "low must be at most high=0.05"),
    (
        dict(budget__penalties=dict(unity=dict(weight=1.0))),
        "budget.penalties.unity: unknown name 'unity'; accepted: batch_shaping",
    ),
    (
        dict(budget__distillation=DISTILLED),
        "budget: distillation needs a sampling of several passes",
    ),
    (
        dict(budget__ramp=dict(form="cubic", start=0.5, until=0.5)),
        "until must be above start=0.5, got 0.5",
    ),
    (
        dict(budget__ramp=dict(form="square", start=0.0, until=0.5)),
        r"budget.ramp: form must be one of \['cosine', 'cubic', 'linear'\], got",
    ),
    (dict(budget=dict(name="free")), "budget: unknown name 'free'; accepted: any, con"),
    (dict(budget=dict(name="fixed")), "budget: fixed needs the key 'density'"),
    (dict(budget=None), "budget must be a section of keys, got None"),
    (
        dict(budget=CONSTRAINED | dict(target=2.0)),
        r"budget: constrained: target must be in \(0, 1\], got 2.0",
    ),
    (
        dict(budget=CONSTRAINED),
        "SoftTopk needs a density, which Constrained does not set; accepted: fixed, or",
    ),
    (
        dict(budget__penalties=TARGET),
        "TargetRate: moves gates of a varying .* of this model are SoftTopk",
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
        "scorers: unknown name 'cnn'; accepted: any_budget, .*linear, magnitude, mlp",
    ),
    (dict(scorer__name="static"), r"static has no key 'hidden'; accepted: \[\]"),
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
    with pytest.raises(ValueError, match=f"{section} has no key 'colour'; accepted"):
        training.prepare(config)
    del config[section]["colour"]
    gone = next(iter(config[section]))
    del config[section][gone]
    with pytest.raises(ValueError, match=f"{section} needs the key '{gone}'"):
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


def test_one_density_is_a_point_of_its_curve():
    changes = dict(evaluation__densities=(), evaluation__budgets=())
    prepared = training.prepare(
        tiny.config("soft_topk,,fixed", budget__density=0.25, **changes)
    )
    assert prepared.densities == (0.25,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            dict(budget__penalties=dict(mac_target=MAC_TARGET)),
            "MacTarget: target 0.05 is below the floor of the model",
        ),
        (
            dict(budget=CONSTRAINED | dict(target=0.05)),
            r"budget: target 0.05 is below the floor of the model: 0\.\d+",
        ),
        (
            dict(budget=dict(name="fixed", density=0.5)),
            "budget: fixed sets a density, and GumbelSigmoid has none",
        ),
        (
            dict(budget=dict(name="any", sampling=UNIFORM)),
            "budget: no density of GumbelSigmoid can be drawn",
        ),
    ],
)
def test_what_a_gate_of_a_varying_count_cannot_do_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        training.prepare(tiny.config("gumbel_sigmoid", **changes))


@pytest.mark.parametrize("method", ["random_bernoulli", "ema_threshold"])
def test_a_density_that_is_a_number_is_set_by_one_budget_alone(method):
    with pytest.raises(ValueError, match="needs a density, which Constrained does not"):
        training.prepare(tiny.config(f"{method},,pi_controller"))
    with pytest.raises(ValueError, match="can be drawn at every step"):
        training.prepare(tiny.config(f"{method},,sandwich"))
    ramp = dict(form="linear", start=0.0, until=1.0)
    with pytest.raises(ValueError, match="a ramp moves the density of top-k gates"):
        training.prepare(tiny.config(method, budget__ramp=ramp))


def test_gates_that_only_choose_one_are_moved_by_nothing():
    with pytest.raises(ValueError, match="of this model are Dense"):
        training.prepare(tiny.config("dense,,pi_controller"))


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
        (dict(gate=dict(name="hard_topk", density=0.5)), "gate: the density is the bu"),
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
