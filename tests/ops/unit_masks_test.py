"""Masks of one unit by its own score, and one of n: closed forms and frequencies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm

from dynsparse import ops

DRAWS = 100_000
LOGITS = jnp.array([-6.0, -1.0, 0.0, 0.4, 3.0])
ROWS = jnp.broadcast_to(LOGITS, (DRAWS, 5))

SAMPLERS = dict(
    bernoulli_straight_through=ops.bernoulli_straight_through,
    binary_concrete=lambda key, a: ops.binary_concrete(key, a, 0.3),
    gumbel_sigmoid=lambda key, a: ops.gumbel_sigmoid(key, a, 0.3),
    semantic_hash=ops.semantic_hash,
    hard_concrete=ops.hard_concrete,
)
hard_concrete, sparsemax = jax.jit(ops.hard_concrete), jax.jit(ops.sparsemax)
every_sampler = pytest.mark.parametrize("name", SAMPLERS)
PROBABILITIES = dict(semantic_hash=norm.cdf)


def near(mean, expected):
    error = np.sqrt(expected * (1 - expected) / DRAWS)
    return (np.abs(mean - expected) < 4 * error + 1e-6).all()


@every_sampler
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_units_are_above_one_half_as_often_as_their_logit_says(name, dtype, key):
    """Also in bfloat16, whose own noise would have no tail at logits of -6."""
    mask = jax.jit(SAMPLERS[name])(key, ROWS.astype(dtype))
    assert mask.dtype == dtype
    assert ((mask >= 0) & (mask <= 1)).all()
    logits = np.float64(LOGITS.astype(dtype))
    expected = PROBABILITIES.get(name, expit)(logits)
    assert near((np.float32(mask) > 0.5).mean(0), expected)


@pytest.mark.parametrize("name", ["bernoulli_straight_through", "gumbel_sigmoid"])
def test_hard_samples_are_zeros_and_ones(name, key):
    assert set(np.unique(jax.jit(SAMPLERS[name])(key, ROWS))) == {0.0, 1.0}


def test_half_of_the_rows_are_hashed_hard(key):
    mask = np.asarray(jax.jit(ops.semantic_hash)(key, jnp.full((4000, 9), 0.1)))
    hard = ((mask == 0) | (mask == 1)).all(-1)
    np.testing.assert_allclose(hard.mean(), 0.5, atol=4 * 0.5 / 4000**0.5)


def test_hashing_has_the_gradient_of_the_soft_value_in_hard_rows(key):
    scores = jnp.zeros((4000, 1))
    loss = jax.jit(lambda s: ops.semantic_hash(key, s).sum())
    gradient = np.asarray(jax.grad(loss)(scores))
    assert (gradient >= 0).all()
    np.testing.assert_allclose(
        (gradient > 0).mean(), 2 * norm.cdf(2.3979) - 1, atol=0.01
    )


@pytest.mark.parametrize("temperature", [0.2, 2 / 3])
def test_hard_concrete_opens_as_often_as_its_closed_form_says(temperature, key):
    mask = np.asarray(hard_concrete(key, ROWS, temperature))
    opened = np.asarray(ops.hard_concrete_open_prob(LOGITS, temperature))
    assert near((mask > 0).mean(0), opened)
    full = expit(LOGITS - temperature * np.log(1.1 / 0.1))
    assert near((mask == 1).mean(0), np.asarray(full))


def test_hard_concrete_at_test_time_is_the_papers_estimator():
    expected = np.clip(expit(np.float64(LOGITS)) * 1.2 - 0.1, 0, 1)
    np.testing.assert_allclose(ops.hard_concrete(None, LOGITS), expected, atol=1e-6)


# Without noise.

scores = st.floats(-5, 5, width=32)


@settings(deadline=None, derandomize=True)
@given(scores, st.sampled_from([0.5, 2.0, 6.0]))
def test_smooth_step_is_the_cubic_in_its_band_and_hard_outside(score, width):
    value = float(ops.smooth_step(jnp.float32(score), width))
    if abs(score) >= width / 2:
        assert value == (score > 0)
    else:
        expected = -2 * score**3 / width**3 + 3 * score / (2 * width) + 0.5
        np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize("edge", [-1.0, 1.0])
def test_smooth_step_has_a_continuous_slope_at_the_ends_of_its_band(edge):
    slope = jax.jit(jax.grad(lambda s: ops.smooth_step(s, 2.0)))
    inside, outside = slope(0.999 * edge), slope(1.001 * edge)
    assert outside == 0
    assert 0 < inside < 2e-3
    np.testing.assert_allclose(slope(0.0), 0.75, rtol=1e-6)


def test_sigmoid_straight_through_is_the_sign_with_that_slope():
    np.testing.assert_array_equal(
        ops.sigmoid_straight_through(LOGITS, 2.0), [0, 0, 0, 1, 1]
    )
    slope = jax.grad(lambda s: ops.sigmoid_straight_through(s, 2.0).sum())(LOGITS)
    soft = expit(np.float64(LOGITS) / 2)
    np.testing.assert_allclose(slope, soft * (1 - soft) / 2, atol=1e-6)


def test_relu_mask_is_the_positive_part_up_to_one():
    np.testing.assert_allclose(ops.relu_mask(LOGITS), [0, 0, 0, 0.4, 1])
    slope = jax.grad(lambda s: ops.relu_mask(s).sum())(jnp.array([-1.0, 0.4, 3.0]))
    np.testing.assert_array_equal(slope, [0, 1, 0])


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(-50, 50, width=32), min_size=6, max_size=6))
def test_sparsemax_is_the_projection_onto_the_simplex(row):
    found = np.float64(sparsemax(np.float32(row), 2.0))
    x = np.float64(np.float32(row)) / 2
    ordered = np.sort(x)[::-1]
    sums = np.cumsum(ordered)
    support = np.flatnonzero(1 + ordered * np.arange(1, 7) > sums)[-1]
    expected = np.maximum(x - (sums[support] - 1) / (support + 1), 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_sparsemax_is_finite_and_sums_to_one(offset):
    row = jnp.array([0.0, -jnp.inf, 0.5, -1e30, 0.25]) + offset
    loss = lambda s: ops.sparsemax(s) @ jnp.arange(5.0)
    value, gradient = jax.jit(jax.value_and_grad(loss))(row)
    np.testing.assert_allclose(sparsemax(row, 1.0).sum(), 1, rtol=1e-6)
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()


def test_capped_entmax_at_two_is_the_capped_projection():
    both = lambda row: (
        ops.soft_topk_mask(row, 2, 1.0, family="capped"),
        ops.capped_entmax(row, 2, 1.0, alpha=2.0),
    )
    expected, found = jax.jit(both)(jnp.array([0.3, -1.0, 0.8, 0.1]))
    np.testing.assert_allclose(found, expected)


# One of n.


@pytest.mark.parametrize(
    "sample",
    [
        lambda key, a: ops.gumbel_softmax(key, a, 0.5, hard=True),
        ops.reinmax,
        lambda key, a: ops.gumbel_softmax(key, a, 0.5, hard=False),
    ],
    ids=["hard", "reinmax", "soft"],
)
def test_the_largest_entry_is_a_sample_of_the_softmax(sample, key):
    rows = jax.jit(sample)(key, ROWS)
    np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
    chosen = np.bincount(np.asarray(rows.argmax(-1)), minlength=5) / DRAWS
    assert near(chosen, np.asarray(jax.nn.softmax(LOGITS)))


def test_batches_choose_by_row(key):
    draw = jax.jit(lambda key, a: ops.gumbel_softmax(key, a, 0.5, hard=True))
    rows = np.asarray(draw(key, jnp.zeros((64, 8))))
    np.testing.assert_array_equal(rows.sum(-1), 1)
    assert len(np.unique(rows.argmax(-1))) > 4


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_reinmax_has_its_formulas_gradient(temperature, key):
    cotangent = jnp.cos(jnp.arange(5.0))

    def loss(a):
        sample = ops.reinmax(key, a, temperature)
        return sample @ cotangent, sample

    slope, sample = jax.jit(jax.grad(loss, has_aux=True))(LOGITS)
    jacobian = lambda p: jnp.diag(p) - jnp.outer(p, p)
    middle = (jax.nn.softmax(LOGITS / temperature) + sample) / 2
    expected = 2 * jacobian(middle) - jacobian(jax.nn.softmax(LOGITS)) / 2
    np.testing.assert_allclose(slope, expected @ cotangent, atol=1e-6)


def test_an_infinite_logit_leaves_disarm_to_the_others():
    masks = jnp.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    price = jax.jit(
        jax.value_and_grad(
            lambda logits: ops.disarm_surrogate(logits, masks, jnp.array([3.0, 1.0]))
        )
    )
    value, slope = price(jnp.array([jnp.inf, 0.5, -1.0]))
    assert jnp.isfinite(value)
    expected = jax.nn.sigmoid(jnp.array([0.5, 1.0])) * jnp.array([1, -1])
    np.testing.assert_allclose(slope, [0, *expected], rtol=1e-6)


@settings(deadline=None, derandomize=True)
@given(st.floats(-3, 4, width=32), st.sampled_from([0.0, 1.0]))
def test_straight_through_is_exact_for_surrogates_beyond_the_unit_interval(soft, hard):
    assert ops.straight_through(jnp.float32(hard), jnp.float32(soft)) == hard


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key: ops.binary_concrete(key, LOGITS, 0.0), "temperature > 0, got 0.0"),
        (lambda key: ops.gumbel_sigmoid(key, LOGITS, -1.0), "temperature > 0, got -1"),
        (lambda key: ops.reinmax(key, LOGITS, 0.0), "reinmax needs temperature > 0"),
        (lambda key: ops.sparsemax(LOGITS, 0.0), "sparsemax needs temperature > 0"),
        (lambda key: ops.smooth_step(LOGITS, 0.0), "width > 0, got 0.0"),
        (lambda key: ops.hard_concrete(key, LOGITS, low=0.0), "low < 0 and high > 1"),
        (lambda key: ops.capped_entmax(LOGITS, 2, alpha=3.0), r"p in \(1, 2\], got 3"),
        (
            lambda key: ops.reinforce_surrogate(jnp.zeros((1, 3)), jnp.zeros((1, 3))),
            "needs 2 samples or more, got 1",
        ),
    ],
)
def test_values_out_of_range_are_named(call, message, key):
    with pytest.raises(ValueError, match=message):
        call(key)
