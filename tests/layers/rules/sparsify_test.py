"""Gating of models that know nothing of gates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs
from dynsparse.gates import evaluating, records
from tests.models.conv_vit_test import run

SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
SCORER = dict(name="mlp", hidden=4)
NEURONS = dict(
    granularity="neurons",
    gate=SOFT,
    scorer=SCORER,
    num_blocks=4,
)


class Plain(nnx.Module):
    """A network in plain Flax."""

    def __init__(self, rngs):
        self.blocks = nnx.List([Block(rngs), Block(rngs)])
        self.head = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Block(nnx.Module):
    def __init__(self, rngs):
        self.mlp = Hidden(rngs)

    def __call__(self, x):
        return x + self.mlp(x)


class Hidden(nnx.Module):
    def __init__(self, rngs):
        self.fc1 = nnx.Linear(8, 16, rngs=rngs)
        self.fc2 = nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x):
        return self.fc2(jax.nn.relu(self.fc1(x)))


X = jax.random.normal(jax.random.key(0), (5, 8))


def sparse(rules):
    model = Plain(nnx.Rngs(0))
    return dynsparse.sparsify(model, rules, X, rngs=nnx.Rngs(1, gate=2))


def test_weights_stay_and_the_dense_execution_is_the_model():
    expected = Plain(nnx.Rngs(0))(X)
    model = sparse({"blocks/*/mlp": NEURONS})
    dense = nnx.view(model, execution="dense")
    np.testing.assert_allclose(dense(X), expected, atol=1e-6)


def test_the_result_decides_bills_and_compacts():
    model = nnx.view(sparse({"blocks/*/mlp": NEURONS}), deterministic=True)
    y, captured = run(model, X)
    assert set(records(captured)) == {"blocks/0/mlp", "blocks/1/mlp"}
    compact = nnx.view(model, execution="compact", density=0.5)
    np.testing.assert_allclose(run(compact, X)[0], y, atol=1e-5)
    bill = costs.bill(model, X)
    assert bill.dense == 2 * 2 * 8 * 16 + 24
    layer = bill.layers["blocks/0/mlp"]
    np.testing.assert_array_equal(layer.used, 8 * 16)


def test_the_result_trains():
    graphdef, params, rest = nnx.split(
        sparse({"blocks/*/mlp": NEURONS}), nnx.Param, ...
    )
    rest = nnx.to_pure_dict(rest)
    loss = lambda params: jnp.square(nnx.merge(graphdef, params, rest)(X)).sum()
    gradient = jax.jit(jax.grad(loss))(params)
    for part in ("scorer", "host"):
        leaves = jax.tree.leaves(gradient["blocks"][0]["mlp"][part])
        assert any(leaf.any() for leaf in leaves)


def test_rules_tell_blocks_apart():
    block = dict(granularity="blocks", gate=GUMBEL, scorer=SCORER, width=8)
    model = sparse({"blocks/0/mlp": NEURONS, "blocks/1": block})
    assert isinstance(model.blocks[0], Block)
    assert isinstance(model.blocks[0].mlp, dynsparse.layers.GatedNeurons)
    assert isinstance(model.blocks[1], dynsparse.layers.GatedBlock)


class Attended(nnx.Module):
    """Attention and convolutions in plain Flax, each a module of its own."""

    def __init__(self, rngs, **options):
        self.attention = nnx.MultiHeadAttention(
            4, 8, decode=False, rngs=rngs, **options
        )
        self.branch = Convolutions(rngs)

    def __call__(self, x):
        x = x + self.attention(x)
        return self.branch(x.reshape(len(x), 3, 4, 8)).sum((1, 2))


class Convolutions(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(8, 12, (3, 3), rngs=rngs)
        self.bn1 = nnx.BatchNorm(12, rngs=rngs)
        self.conv2 = nnx.Conv(12, 8, (3, 3), rngs=rngs)

    def __call__(self, x):
        return self.conv2(jax.nn.relu(self.bn1(self.conv1(x))))


HEADS = dict(granularity="heads", gate=SOFT, scorer=SCORER)
CHANNELS = dict(
    granularity="channels",
    gate=SOFT,
    scorer=SCORER,
    num_groups=4,
)


@pytest.mark.parametrize(
    ("rules", "units"),
    [({"attention": HEADS}, 4), ({"branch": CHANNELS}, 4)],
    ids=["heads", "channels"],
)
def test_plain_attention_and_convolutions_are_taken_over(rules, units):
    x = jax.random.normal(jax.random.key(1), (5, 12, 8))
    plain = Attended(nnx.Rngs(0))
    for module in (plain.attention.query, plain.attention.out, plain.branch.bn1):
        module.bias[...] += jnp.linspace(-1, 1, module.bias.size).reshape(
            module.bias.shape
        )
    expected, _ = run(evaluating(plain), x)
    model = dynsparse.sparsify(plain, rules, x, rngs=nnx.Rngs(1, gate=2))
    dense, _ = run(evaluating(model, execution="dense"), x)
    np.testing.assert_allclose(dense, expected, atol=1e-5)
    masked, _ = run(evaluating(model), x)
    compact, _ = run(evaluating(model, execution="compact", density=0.5), x)
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    assert np.abs(masked - expected).max() > 1e-3
    (layer,) = costs.bill(model, x).layers.values()
    assert layer.num_units == units
    np.testing.assert_array_equal(layer.used, layer.dense // 2)


@pytest.mark.parametrize(
    "options",
    [
        dict(qkv_features=16),
        dict(dropout_rate=0.1),
        dict(attention_fn=lambda query, *_, **__: query),
        dict(dtype=jnp.bfloat16),
    ],
)
def test_attention_of_any_kind_stays_what_it_is(options):
    plain = Attended(nnx.Rngs(0), **options)
    x = jax.random.normal(jax.random.key(1), (5, 12, 8))
    expected, _ = run(evaluating(plain), x)
    rngs = nnx.Rngs(1, gate=2)
    model = dynsparse.sparsify(plain, {"attention": HEADS}, x, rngs=rngs)
    opened, _ = run(evaluating(model, density=1.0), x)
    np.testing.assert_allclose(opened, expected, atol=1e-5)


@pytest.mark.parametrize("shared", ["a block", "its MLP"])
def test_a_module_in_two_places_is_refused(shared):
    model = Plain(nnx.Rngs(0))
    if shared == "a block":
        model.blocks[1] = model.blocks[0]
    else:
        model.blocks[1].mlp = model.blocks[0].mlp
    with pytest.raises(ValueError, match="the same module in 2 places"):
        dynsparse.sparsify(model, {"blocks/0/mlp": NEURONS}, X, rngs=nnx.Rngs(1))


MISTAKES = [
    ({"blocks/*/attention": NEURONS}, "no module matches 'blocks/\\*/attention'"),
    (
        {"blocks/0/mlp": NEURONS, "blocks/*/mlp": NEURONS},
        "blocks/0/mlp matches 'blocks/0/mlp' and 'blocks/\\*/mlp'",
    ),
    ({"blocks/0": NEURONS | dict(granularity="rows")}, "one of .* got 'rows'"),
    (
        {"head": dict(granularity="heads", gate=SOFT, scorer=SCORER)},
        "no units were found .kernel: what it reads is not split into heads",
    ),
    (
        {"blocks/0/mlp": NEURONS | dict(units="fc3/kernel")},
        "units='fc3/kernel' is no parameter that a product reads; there are fc1/kernel",
    ),
    (
        {"blocks/0/mlp": NEURONS | dict(units="fc1/kernel")},
        "fc1/kernel: the host's input has them",
    ),
    (
        {"blocks/0/mlp": NEURONS | dict(num_blocks=5)},
        "num_blocks=5 must divide the 16 units that fc2/kernel reads",
    ),
    (
        {"blocks/0/mlp": {k: v for k, v in NEURONS.items() if k != "num_blocks"}},
        "neurons around Hidden needs 'num_blocks'",
    ),
    (
        {"blocks/0": dict(granularity="blocks", gate=GUMBEL, scorer=SCORER, width=9)},
        "width=9, but its input has 8 features",
    ),
    (
        {"blocks/0": dict(granularity="blocks", gate=GUMBEL, width=8)},
        "blocks needs a scorer",
    ),
    (
        {"blocks/0/mlp": NEURONS | dict(num_heads=2)},
        r"no option 'num_heads'; accepted: \['num_blocks', 'units', 'width'",
    ),
    (
        {"blocks/0/mlp": NEURONS | dict(scorer=dict(hidden=4))},
        "scorers: needs the key 'name'; accepted: any_budget, confidence",
    ),
]


@pytest.mark.parametrize(("rules", "message"), MISTAKES)
def test_mistakes_are_named(rules, message):
    with pytest.raises(ValueError, match=message):
        sparse(rules)
