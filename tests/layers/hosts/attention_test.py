"""Attention with masks: that of the open tokens alone, and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse.layers import (
    masked_attention,
)

attend = jax.jit(masked_attention)


def attention_inputs():
    keys = jax.random.split(jax.random.key(0), 3)
    return [3 * jax.random.normal(key, (2, 6, 2, 4)) for key in keys]


def test_masked_attention_is_attention_over_the_open_tokens():
    query, key, value = attention_inputs()
    mask = jnp.array([[1.0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]])
    masked = attend(query, key, value, mask)
    for example in range(2):
        kept = np.flatnonzero(mask[example])
        part = [x[example : example + 1, kept] for x in (query, key, value)]
        expected = jax.nn.dot_product_attention(*part)
        np.testing.assert_allclose(masked[example, kept], expected[0], atol=1e-5)


def test_masked_attention_survives_closed_tokens_of_any_size():
    query, key, value = attention_inputs()
    mask = jnp.array([[1.0, 0, 1, 1, 0, 0]] * 2)
    loud = jnp.where(mask[..., None, None] > 0, key, 1e4)
    loss = lambda mask: masked_attention(query, loud, value, mask).sum()
    assert np.isfinite(jax.jit(jax.grad(loss))(mask)).all()
    np.testing.assert_allclose(
        attend(query, loud, value, mask), attend(query, key, value, mask), atol=1e-5
    )


@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e-24, 1e-30])
def test_attention_asks_how_masks_compare_and_not_how_large_they_are(scale):
    query, key, value = attention_inputs()
    mask = jnp.array([[1.0, 0.4, 1e-2, 0.2, 0.7, 0.9]] * 2)
    grad = jax.grad(
        lambda *arrays: jnp.sin(masked_attention(*arrays)).sum(), argnums=(0, 1, 2, 3)
    )
    large, small = (jax.jit(grad)(query, key, value, m) for m in (mask, scale * mask))
    for a, b in zip(large, (*small[:3], scale * small[3]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_loud_token_that_is_hardly_open_spoils_no_gradient():
    query, key, value = attention_inputs()
    loud = key.at[:, 0].multiply(1e2)
    mask = jnp.full((2, 6), 1.0).at[:, 0].set(1e-30)
    loss = lambda *arrays: jnp.sin(masked_attention(*arrays)).sum()
    slopes = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(query, loud, value, mask)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_mask_gradient_of_attention_matches_finite_differences():
    query, key, value = [x / 3 for x in attention_inputs()]
    mask = jnp.array([[1.0, 0.4, 1, 0.2, 0.7, 0.9]] * 2)
    loss = jax.jit(
        lambda mask: jnp.sin(masked_attention(query, key, value, mask)).sum()
    )
    direction = np.cos(np.arange(12, dtype=np.float32)).reshape(2, 6)
    step = np.float32(1e-2)
    difference = loss(mask + step * direction) - loss(mask - step * direction)
    analytic = (jax.jit(jax.grad(loss))(mask) * direction).sum()
    np.testing.assert_allclose(analytic, difference / (2 * step), rtol=1e-2)


def test_no_open_token_attends_to_nothing():
    query, key, value = attention_inputs()
    output = attend(query, key, value, jnp.zeros((2, 6)))
    np.testing.assert_array_equal(output, 0)
