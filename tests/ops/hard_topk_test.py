"""Properties of hard top-k masks and of the straight-through estimator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynsparse import ops

hard = jax.jit(ops.hard_topk_mask)
values = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1e-30, 2.0, 3e38, np.inf, np.nan])


def expected(scores, k):
    """First k of a stable descending sort, without nan and -inf."""
    forbidden = np.isnan(scores) | np.isneginf(scores)
    keys = np.where(forbidden, np.inf, -np.asarray(scores, np.float64))
    mask = np.zeros(len(scores))
    mask[np.argsort(keys, kind="stable")[:k]] = 1
    return np.where(forbidden, 0, mask)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.lists(values, min_size=7, max_size=7), st.integers(0, 7))
def test_opens_exactly_the_first_k_of_a_stable_sort(scores, k):
    scores = np.float32(scores)
    np.testing.assert_array_equal(hard(scores, k), expected(scores, k))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_random_scores_agree_with_a_sort(dtype, key):
    scores = jax.random.normal(key, (50, 128), dtype)
    wide = np.asarray(scores, np.float32)
    for k in (0, 1, 40, 127, 128):
        right = np.stack([expected(row, k) for row in wide])
        found = hard(scores, k)
        assert found.dtype == dtype
        np.testing.assert_array_equal(np.asarray(found, np.float32), right)


def test_float64_scores_are_told_apart():
    with jax.enable_x64(True):
        scores = jnp.asarray([1.0, 1.0 + 1e-15, 1.0 - 1e-15], jnp.float64)
        np.testing.assert_array_equal(hard(scores, 1), [0, 1, 0])


def test_each_row_has_its_own_k(key):
    scores = jax.random.normal(key, (4, 9))
    k = jnp.array([0, 3, 8, 9])
    np.testing.assert_array_equal(hard(scores, k).sum(-1), k)


def test_one_compilation_serves_every_k():
    traces = 0

    @jax.jit
    def apply(k):
        nonlocal traces
        traces += 1
        return ops.hard_topk_mask(jnp.arange(6.0), k)

    assert [int(apply(k).sum()) for k in (0, 2, 6)] == [0, 2, 6]
    assert traces == 1


@pytest.mark.parametrize("k", [-1, 7])
def test_k_out_of_range_is_named(k):
    with pytest.raises(ValueError, match=rf"needs k in \[0, 6\], got {k}"):
        ops.hard_topk_mask(jnp.arange(6.0), k)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_straight_through_is_bit_exact(dtype, key):
    # Draws of jax.random.uniform are multiples of a last place of 1; these are not.
    soft = jax.nn.sigmoid(4 * jax.random.normal(key, (100_000,))).astype(dtype)
    for value in (0, 1):
        hard_mask = jnp.full_like(soft, value)
        np.testing.assert_array_equal(ops.straight_through(hard_mask, soft), hard_mask)


def test_straight_through_has_the_gradient_of_the_surrogate():
    scores, weights = jnp.array([0.3, -0.2, 1.0]), jnp.array([1.0, 2.0, 3.0])
    soft = lambda s: ops.soft_topk_mask(s, 2.0, 0.5)
    loss = lambda s: weights @ ops.straight_through(ops.hard_topk_mask(s, 2), soft(s))
    surrogate = lambda s: weights @ soft(s)
    both = jax.jit(lambda s: (jax.grad(loss)(s), jax.grad(surrogate)(s)))
    gradient, expected = both(scores)
    np.testing.assert_array_equal(gradient, expected)
    assert jnp.abs(expected).max() > 0.1
