"""I-MLE: its gradients are differences of masks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import ops


@functools.partial(jax.jit, static_argnums=2)
def imle_gradients(key, rows, step):
    """As they are, and as differences of masks."""
    prices = jnp.arange(8.0)
    loss = lambda s: (ops.imle_topk_mask(key, s, 3, step) @ prices).sum()
    perturbed = ops.gumbel_perturb(key, rows)
    target = ops.hard_topk_mask(perturbed - step * prices[None], 3)
    return jax.grad(loss)(rows), (ops.hard_topk_mask(perturbed, 3) - target) / step


@pytest.mark.parametrize("step", [0.5, 5.0, 50.0])
def test_imle_gradients_are_differences_of_masks(step, key):
    rows = jax.random.normal(key, (64, 8))
    gradient, expected = imle_gradients(key, rows, step)
    np.testing.assert_array_equal((gradient > 0).sum(-1), (gradient < 0).sum(-1))
    assert set(np.unique(gradient * step)) <= {-1.0, 0.0, 1.0}
    assert gradient.any()
    np.testing.assert_allclose(gradient, expected)
