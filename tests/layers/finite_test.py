"""What is closed and not finite reaches nothing that is open, forwards or backwards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates, ops
from dynsparse.layers import masked_attention
from tests.layers.small_layers import SPECS, TOKENS, build, inputs, output
from tests.sampled import unless

HUGE = 1e38  # a weight that overflows
USUAL = ("bernoulli_straight_through", "gumbel_sigmoid", "hard_topk", "relu_routing")
STRAIGHT_THROUGH = [  # gates that teach closed units by the gradient of their mask
    pytest.param(name, marks=unless(name in USUAL))
    for name in sorted(SPECS)
    if name not in ("dense", "random_bernoulli", "random_topk")
]


class Given(nnx.Module):
    """Scores that are parameters: one for each thing that decides."""

    def __init__(self, scores):
        self.scores = nnx.Param(jnp.asarray(scores, jnp.float32))

    def __call__(self, features):
        del features
        return self.scores[...]


def alternating(*shape):
    """Scores whose units are open and closed in turn, the first of them open."""
    return 2.0 - 4.0 * (np.arange(np.prod(shape)).reshape(shape) % 2)


def with_scores(layer, scores):
    module = build(layer, "gumbel_sigmoid")
    module.scorer = Given(scores)
    return module


def blocks():
    """Examples, of which the second and fourth are closed and hold no numbers."""
    module, x = with_scores("blocks", alternating(4, 1)), inputs("blocks", 4)
    return module, x, x.at[1].set(jnp.nan).at[3, 0].set(jnp.inf), np.s_[::2]


def rows(layer):
    module, x = with_scores(layer, alternating(2, TOKENS)), inputs(layer, 2)
    return module, x, x.at[:, 1].set(jnp.nan).at[:, 3, 0].set(jnp.inf), np.s_[:, ::2]


def features():
    module, x = with_scores("features", alternating(2, TOKENS)), inputs("features", 2)
    bad = nnx.clone(module)
    table = bad.host.embed.table
    table[...] = table[...].at[x[:, 1::2]].set(jnp.nan)
    return (module, bad), x, x, np.s_[:]


def positions():
    scores = np.full((2, 16), -2.0)
    scores[:, 0] = 2.0  # the first tile, whose halo the last ones are not in
    module, x = with_scores("positions", scores), inputs("positions", 2)
    bad = x.at[:, 6:, 6:].set(jnp.nan)
    return module, x, bad, np.s_[:, :6, :6]  # whose halo some of these do see


def units(layer, poison, shape):
    module = with_scores(layer, alternating(*shape))
    bad = nnx.clone(module)
    poison(bad.host)
    x = jnp.abs(inputs(layer, 2))
    return (module, bad), x, x, np.s_[:]


def loud(kernel, *index):
    kernel[...] = kernel[...].at[index].set(HUGE)


CASES = dict(
    blocks=blocks,
    bypass=lambda: rows("bypass"),
    tokens=lambda: rows("tokens"),
    features=features,
    positions=positions,
    channels=lambda: units(
        "channels", lambda h: loud(h.first.kernel, ..., np.s_[2:4]), (2, 4)
    ),
    experts=lambda: units("experts", lambda h: loud(h.up, np.s_[:], 1), (2, TOKENS, 4)),
    heads=lambda: units(
        "heads", lambda h: loud(h.qkv.kernel, np.s_[:], np.s_[18:20]), (2, 4)
    ),
    neurons=lambda: units(
        "neurons", lambda h: loud(h.up.kernel, np.s_[:], np.s_[4:8]), (2, TOKENS, 4)
    ),
)


@pytest.mark.parametrize("layer", CASES)
def test_what_is_closed_and_not_finite_reaches_nothing_that_is_open(layer):
    module, x, bad, open_ones = CASES[layer]()
    good_module, bad_module = module if isinstance(module, tuple) else (module,) * 2

    @functools.partial(jax.jit, static_argnums=0)
    @functools.partial(jax.grad, argnums=1, has_aux=True)
    def slope(graphdef, params, rest, x):
        result = output(nnx.merge(graphdef, params, rest)(x))[open_ones]
        return jnp.square(result).sum(), result

    def run(module, x):
        graphdef, params, rest = nnx.split(gates.evaluating(module), nnx.Param, ...)
        return slope(graphdef, params, nnx.to_pure_dict(rest), x)

    (_, wanted), (gradient, got) = run(good_module, x), run(bad_module, bad)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_who_left_with_an_answer_that_overflows_keeps_the_last_one():
    module, x = build("exits", "gumbel_sigmoid", bias=-100.0), inputs("exits", 4)
    run = jax.jit(lambda module, x: gates.evaluating(module)(x))
    wanted = run(module, x)
    exit = module.rest[0].host.exit
    exit.bias[...] = jnp.full_like(exit.bias[...], jnp.nan)
    np.testing.assert_array_equal(run(module, x), wanted)


@pytest.mark.parametrize("gate", STRAIGHT_THROUGH)
def test_the_gradient_of_a_closed_mask_is_that_of_a_plain_product(gate):
    rngs = nnx.Rngs(0, gate=1)
    graphdef, state = nnx.split(gates.from_config(SPECS[gate], rngs=rngs))
    state = nnx.to_pure_dict(state)
    scores = jnp.asarray(alternating(2, 8) / 4, jnp.float32)
    values = jnp.cos(jnp.arange(16.0)).reshape(2, 8)
    decide = lambda scores: nnx.merge(graphdef, state)(scores).mask
    mask, teach = jax.vjp(decide, scores)
    for product in (ops.weigh, lambda x, mask: ops.blend(mask, x, 0 * x)):
        slope = jax.grad(lambda mask, p=product: p(values, mask).sum())(mask)
        np.testing.assert_array_equal(teach(slope), teach(values))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_blend_takes_nothing_from_the_side_of_weight_0(value):
    mask = jnp.array([0.0, 1.0])
    opened, closed = jnp.array([value, 2.0]), jnp.array([3.0, value])
    total = lambda mask, *sides: ops.blend(mask, *sides).sum()
    slopes = jax.grad(total, argnums=(0, 1, 2))(mask, opened, closed)
    np.testing.assert_array_equal(ops.blend(mask, opened, closed), [3, 2])
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_a_mask_that_rounds_to_0_closes():
    values = jnp.array([jnp.inf], jnp.float16)
    np.testing.assert_array_equal(ops.weigh(values, jnp.array([1e-9])), 0)


@pytest.mark.parametrize(
    "values", [jnp.arange(3), jnp.array([True, False]), jax.random.key(0)]
)
def test_what_is_no_number_with_a_point_passes_through(values):
    assert ops.drop_closed(values, jnp.zeros(values.shape)) is values


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_adds_up_in_float32(dtype, masked):
    keys = jnp.zeros((1, 4096, 1, 2), dtype)
    values = jnp.full(keys.shape, 20, dtype)
    mask = jnp.ones(keys.shape[:2], dtype) if masked else None
    attended = masked_attention(keys[:, :1], keys, values, mask)
    assert attended.dtype == dtype
    np.testing.assert_array_equal(attended.astype(jnp.float32), 20)
