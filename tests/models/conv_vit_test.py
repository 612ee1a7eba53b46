"""The small vision model, gated by tokens and by blocks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import costs, models
from dynsparse.gates import GateRecord, records
from dynsparse.models.conv_vit import masked_max
from tests.sampled import sampled, unless

TINY = dict(
    name="conv_vit",
    granularity="tokens",
    width=8,
    depth=2,
    num_heads=2,
    mlp_width=16,
)
SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)


SCORER = dict(name="mlp", hidden=4)


def build(gate, image_shape=(12, 16, 3), scorer=SCORER, **changes):
    model = models.from_config(
        {**TINY, **changes},
        gate=gate,
        scorer=scorer,
        image_shape=image_shape,
        num_classes=5,
        rngs=nnx.Rngs(0, gate=1),
    )
    return nnx.view(model, capacity_steps=2)  # compiles faster


def run(model, images):
    graphdef, state = nnx.split(model)
    apply = lambda state, x: nnx.capture(nnx.merge(graphdef, state), GateRecord)(x)
    return jax.jit(apply)(state, images)


full = functools.partial(pytest.param, marks=unless(False))


@pytest.mark.parametrize(
    ("granularity", "gate", "layers"),
    [
        full("tokens", SOFT, {"body"}),
        ("tokens", GUMBEL, {"body"}),
        full("blocks", GUMBEL, {"body/blocks/0", "body/blocks/1"}),
        full("bypass", SOFT, {"body/blocks/0", "body/blocks/1"}),
        full("heads", SOFT, {"body/blocks/0/attention", "body/blocks/1/attention"}),
        full("neurons", SOFT, {"body/blocks/0/mlp", "body/blocks/1/mlp"}),
        full("experts", GUMBEL, {"body/blocks/0/mlp", "body/blocks/1/mlp"}),
        ("width", SOFT, {"body/blocks/0/mlp", "body/blocks/1/mlp"}),
    ],
)
@pytest.mark.parametrize("batch", [7])
def test_whole_models_agree_in_both_executions(granularity, gate, layers, batch, key):
    model = nnx.view(build(gate, granularity=granularity), deterministic=True)
    images = jax.random.uniform(key, (batch, 12, 16, 3))
    logits, captured = run(model, images)
    assert set(records(captured)) == layers
    compact, _ = run(nnx.view(model, execution="compact"), images)
    np.testing.assert_allclose(compact, logits, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((12, 16, 3), (3, 4)), ((28, 28, 1), (7, 7)), ((5, 9, 1), (2, 3))],
)
def test_tokens_cover_images_of_any_shape(shape, grid):
    model = build(SOFT, image_shape=shape)
    assert model.grid == (*grid, 4, 0)
    images = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    tokens = nnx.eval_shape(model.stem, images)
    assert tokens.shape == (2, grid[0] * grid[1], TINY["width"])
    assert nnx.eval_shape(model, images).shape == (2, 5)


def test_tokens_lie_where_the_grid_says(key):
    model = build(SOFT)
    images = jnp.zeros((1, 12, 16, 3))
    spot = images.at[0, 5, 14].set(1.0)  # in row 1, column 3 of 4x4 patches
    moved = jnp.abs(model.stem(spot) - model.stem(images)).sum(-1)[0]
    assert divmod(int(moved.argmax()), 4) == (1, 3)


def test_masked_max_reads_open_tokens_only(key):
    tokens = jax.random.normal(key, (2, 5, 3)) - 5
    mask = jnp.array([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    expected = np.stack([tokens[0, [0, 2]].max(0), np.zeros(3)])
    np.testing.assert_array_equal(masked_max(tokens, mask), expected)
    np.testing.assert_array_equal(masked_max(tokens, None), tokens.max(1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(granularity="legs"), "granularity must be one of .* got 'legs'"),
        (dict(width=1), "width must be at least 2, got 1"),
        (dict(depth=0), "depth must be at least 1, got 0"),
        (dict(num_heads=3), "num_heads=3 must divide width=8"),
        (dict(name="resnet_9000"), "unknown name 'resnet_9000'; accepted: conv_vit"),
        (dict(widht=8), "has no key 'widht'"),
        (dict(granularity="blocks"), "takes gates whose count is varying or full"),
    ],
)
def test_what_is_not_accepted_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        build(SOFT, **changes)


@pytest.mark.parametrize("budget", sampled([0.3, 0.6, 1.0], [0.3]))
def test_the_narrower_network_costs_what_the_budget_says(budget):
    config = {**TINY, "width": 48, "depth": 1, "num_heads": 2, "mlp_width": 96}
    example = jax.ShapeDtypeStruct((1, 12, 16, 3), jnp.float32)
    shape = dict(image_shape=(12, 16, 3), num_classes=5, example=example)
    abstract = lambda config: nnx.eval_shape(
        lambda: build(dict(name="dense"), **config)
    )
    macs = lambda config: costs.count_macs(
        nnx.view(abstract(config), execution="dense"), example
    )
    narrow = models.narrower(config, budget, **shape)
    assert narrow | dict(width=48, mlp_width=96) == config
    assert macs(narrow) <= budget * macs(config)
    if budget < 1:
        wider = dict(width=narrow["width"] + 2, mlp_width=2 * narrow["width"] + 4)
        assert macs(narrow | wider) > budget * macs(config)
    else:
        assert narrow == config


def test_a_budget_below_the_narrowest_is_named():
    example = jax.ShapeDtypeStruct((1, 12, 16, 3), jnp.float32)
    shape = dict(image_shape=(12, 16, 3), num_classes=5, example=example)
    with pytest.raises(ValueError, match="no width of conv_vit has a budget of 0.001"):
        models.narrower(TINY, 0.001, **shape)


def test_masked_max_hides_no_number_that_is_none():
    tokens = jnp.array([[[jnp.nan], [1.0]]])
    assert jnp.isnan(masked_max(tokens, jnp.ones((1, 2)))).all()


# What tests/conftest.py has switched off.
AS_SHIPPED = dict(
    xla_backend_optimization_level=3, xla_llvm_disable_expensive_passes=False
)


@pytest.mark.parametrize("width", [24, 48])  # whose reciprocals are rounded
def test_the_compiled_gradient_of_the_pooling_is_the_gradient(width):
    """It was not, with jaxlib 0.10.2 on CPUs: see docs/compiled_gradients.md."""

    def loss(kernel, hidden):
        x = hidden @ kernel
        mean = x.mean(-1, keepdims=True)
        variance = jnp.square(x).mean(-1, keepdims=True) - jnp.square(mean)
        tokens = (x - mean) * jax.lax.rsqrt(variance + 1e-6)
        return jnp.square(masked_max(tokens, None)).sum()

    kernel = jax.random.normal(jax.random.key(0), (32, width))
    hidden = jax.random.normal(jax.random.key(1), (2, 49, 32))
    with jax.disable_jit():
        exact = jax.grad(loss)(kernel, hidden)
    fused = jax.jit(jax.grad(loss)).lower(kernel, hidden).compile(AS_SHIPPED)
    fused = fused(kernel, hidden)
    np.testing.assert_allclose(fused, exact, atol=1e-5 * jnp.abs(exact).max())
