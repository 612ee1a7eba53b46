"""What holds for every model: two executions, gates where they belong, training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs.models import MODELS
from dynsparse import costs, layers, models
from dynsparse._internal import registry
from dynsparse.gates import GateRecord, evaluating, gated_modules, records
from tests.sampled import sampled

SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
# Confidences at which some of the untrained answers will do and some will not.
ENOUGH = dict(vit=0.3, resnet=0.241)
TRANSFORMER = dict(width=8, depth=3, num_heads=2, mlp_width=16)
VIT = dict(name="vit", patch=4, **TRANSFORMER)
MIXER = dict(name="mixer", patch=4, width=8, depth=2, token_width=8, mlp_width=16)
RESNET = dict(name="resnet", stem="small", depth=14, width=8, tile=0)
LARGE = dict(name="resnet", stem="large", depth=50, width=8, tile=0)
SHAPE, CLASSES = (16, 16, 3), 5

# Config, gate and the number of gated layers.
ROWS = [
    (VIT | dict(granularity="tokens"), SOFT, 1),
    (VIT | dict(granularity="bypass"), GUMBEL, 3),
    (VIT | dict(granularity="heads"), SOFT, 3),
    (VIT | dict(granularity="exits"), GUMBEL, 2),
    (MIXER | dict(granularity="blocks"), GUMBEL, 2),
    (MIXER | dict(granularity="neurons"), SOFT, 2),
    (RESNET | dict(granularity="blocks"), GUMBEL, 4),
    (RESNET | dict(granularity="channels", depth=8), SOFT, 3),
    (RESNET | dict(granularity="positions", tile=4), SOFT, 3),
    (RESNET | dict(granularity="exits"), GUMBEL, 2),
]
IDS = [f"{config['name']}-{config['granularity']}" for config, _, _ in ROWS]
USUAL = ("vit-exits", "mixer-neurons", "resnet-positions")  # one of each model
every_row = pytest.mark.parametrize(
    "index", sampled(range(len(ROWS)), USUAL, IDS.__getitem__), ids=IDS
)


def scorer_of(config):
    if config["granularity"] == "exits":
        enough = ENOUGH[config["name"]]
        return dict(name="confidence", threshold=enough, sharpness=100.0)
    return dict(name="mlp", hidden=4)


def build(config, gate, **changes):
    model = models.from_config(
        config | changes,
        gate=gate,
        scorer=scorer_of(config),
        image_shape=SHAPE,
        num_classes=CLASSES,
        rngs=nnx.Rngs(0, gate=1),
    )
    return nnx.view(model, capacity_steps=2)  # compiles faster


def images(batch):
    return jax.random.uniform(jax.random.key(2), (batch, *SHAPE))


def run(model, x):
    graphdef, state = nnx.split(model)
    apply = lambda state, x: nnx.capture(nnx.merge(graphdef, state), GateRecord)(x)
    return jax.jit(apply)(state, x)


@functools.cache
def model_of(index):
    return build(*ROWS[index][:2])


@every_row
def test_models_agree_in_both_executions(index):
    model, x = model_of(index), images(5)
    logits, captured = run(evaluating(model), x)
    decisions = records(captured)
    assert logits.shape == (5, CLASSES)
    assert len(decisions) == ROWS[index][2]
    compact, _ = run(evaluating(model, execution="compact"), x)
    np.testing.assert_allclose(compact, logits, atol=2e-5)
    assert any((record.mask == 0).any() for record in decisions.values())


@every_row
def test_the_rules_of_a_model_are_proved(index):
    config, gate, number = ROWS[index]
    keys = {
        name: config[name] for name in config if name not in ("name", "granularity")
    }
    make = registry.find("dynsparse.models", config["name"])
    keys = make.variants.get(config["granularity"], {}) | keys
    model = make(**keys, image_shape=SHAPE, num_classes=CLASSES, rngs=nnx.Rngs(0))
    rules = {
        name: dict(gate=gate, scorer=scorer_of(config)) | rule
        for name, rule in model.rules(config["granularity"]).items()
    }
    gated = layers.sparsify(model, rules, images(3), rngs=nnx.Rngs(1, gate=2))
    assert len(gated_modules(gated)) == number


@pytest.mark.parametrize("name", MODELS)
def test_the_table_of_models_says_what_can_be_gated(name):
    make = registry.find("dynsparse.models", name)
    assert sorted(MODELS[name].granularities) == sorted(make.granularities)


@every_row
def test_bills_lie_between_the_floor_and_all_of_it(index):
    model = model_of(index)
    bill = costs.bill(model, images(5))
    assert bill.floor <= bill.used.min()
    gates = sum(int(layer.gate.max()) for layer in bill.layers.values())
    assert bill.used.max() <= bill.dense + gates
    assert sum(layer.dense for layer in bill.layers.values()) <= bill.dense
    assert bill.used.min() < bill.dense


@pytest.mark.parametrize("index", sampled([0, 5, 7], [7]), ids=IDS.__getitem__)
def test_narrower_models_fit_the_budget(index):
    config = ROWS[index][0] | dict(width=24)
    example = jax.ShapeDtypeStruct((1, *SHAPE), jnp.float32)
    data = dict(image_shape=SHAPE, num_classes=CLASSES)
    narrow = models.narrower(config, 0.5, example=example, **data)
    abstract = lambda config: nnx.eval_shape(lambda: build(config, dict(name="dense")))
    macs = lambda config: costs.count_macs(
        evaluating(abstract(config), execution="dense"), example
    )
    assert narrow["width"] < config["width"]
    assert macs(narrow) <= 0.5 * macs(config)


def test_the_class_token_is_always_open():
    model = evaluating(model_of(0))
    _, captured = run(model, images(5))
    (record,) = records(captured).values()
    assert record.mask.shape == (5, 17)
    assert record.mask[:, 0].all()
    np.testing.assert_array_equal(record.mask.sum(-1), 8)
    (patches,) = model.grid.over_image([np.asarray(record.mask)])
    np.testing.assert_array_equal(patches, record.mask[:, 1:])


def test_running_averages_move_in_training_and_rest_in_evaluation():
    model = build(RESNET | dict(granularity="blocks"), GUMBEL)
    before = np.asarray(model.stem.norm.mean[...])
    call = nnx.jit(lambda model, x: model(x))
    call(evaluating(model), images(2))
    np.testing.assert_array_equal(model.stem.norm.mean[...], before)
    call(model, images(2))
    assert (model.stem.norm.mean[...] != before).any()


def test_batch_averages_are_refused_in_compact_execution():
    model = build(RESNET | dict(granularity="blocks"), GUMBEL)
    with pytest.raises(ValueError, match="norm needs its running average"):
        nnx.view(model, execution="compact")(images(2))


@pytest.mark.parametrize(("side", "tile"), [(16, 4), (28, 7), (32, 8), (30, 6)])
def test_a_image_of_any_size_has_tiles(side, tile):
    config = RESNET | dict(granularity="positions", depth=8)
    build = lambda: models.from_config(
        config,
        gate=SOFT,
        scorer=dict(name="mlp", hidden=4),
        image_shape=(side, side, 3),
        num_classes=5,
        rngs=nnx.Rngs(0, gate=1),
    )
    found = [
        m for _, m in nnx.iter_modules(nnx.eval_shape(build)) if hasattr(m, "tile")
    ]
    assert {layer.tile for layer in found} == {tile}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (VIT | dict(granularity="legs"), "granularity must be one of .* got 'legs'"),
        (VIT | dict(granularity="tokens", patch=5), "patch=5 must divide .* 16x16"),
        (VIT | dict(granularity="exits", depth=2), "depth of at least 3, got 2"),
        (MIXER | dict(granularity="heads"), "granularity must be one of .* 'heads'"),
        (RESNET | dict(granularity="blocks", depth=15), r"6 n \+ 2, .* got 15"),
        (RESNET | dict(granularity="blocks", stem="big"), "stem must be .* 'big'"),
        (
            LARGE | dict(granularity="blocks", depth=51),
            r"one of \(18, 34, 50\), got 51",
        ),
        (
            RESNET | dict(granularity="positions", tile=-1),
            "tile is the side of a tile of positions",
        ),
        (
            RESNET | dict(granularity="positions", tile=7),
            r"tile=7 divides no stage of \(16, 16\) pixels .* \[2, 4, 8\] do",
        ),
        (VIT | dict(granularity="experts", mlp_width=20), "divide mlp_width, got 20"),
        (
            RESNET | dict(granularity="blocks", tile=4),
            "tile is the side of a tile of positions",
        ),
        (RESNET | dict(granularity="channels", width=0), "width must be at least 1"),
    ],
)
def test_what_is_not_accepted_is_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(config, GUMBEL)


def test_every_model_of_the_table_is_a_file():
    assert set(models.available()) == set(MODELS)
