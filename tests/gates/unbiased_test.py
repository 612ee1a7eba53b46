"""Gates that declare their gradients unbiased, against the exact ones."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.gates.rows import (
    GATES,
    Row,
    build,
    by_name,
    compiled,
)


def estimates(gate, scores, loss):
    """Gradients of `loss` of the mask by `scores`, [draws, n], one per draw."""

    def objective(scores):
        views = [nnx.view(nnx.clone(gate), sample=s) for s in range(gate.samples)]
        outputs = [view(scores) for view in views]
        record = jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
        losses = loss(record.mask)
        surrogate = gate.surrogate(record, losses)
        return losses.mean(0).sum() + (
            0 if surrogate is None else surrogate * len(scores)
        )

    return np.asarray(jax.jit(jax.grad(objective))(scores), np.float64)


def assert_mean_is(draws, expected):
    error = draws.std(0) / len(draws) ** 0.5
    assert (np.abs(draws.mean(0) - expected) < 4 * error + 1e-6).all()


UNBIASED = [r for r in GATES if r.unbiased]


@pytest.mark.parametrize("row", UNBIASED, ids=by_name)
def test_gradient_of_a_linear_loss_is_unbiased(row, key):
    gate, weights = build(row), jnp.linspace(-1.0, 2.0, 4)
    scores = jax.random.normal(key, (4,))
    expected = lambda s: weights @ compiled(by_name(row))(s).open_prob
    exact = jax.jit(jax.grad(expected))(scores)
    rows = jnp.broadcast_to(scores, (50_000, 4))
    assert_mean_is(estimates(gate, rows, lambda mask: mask @ weights), exact)
    assert np.abs(exact).max() > 0.1


@pytest.mark.parametrize(
    "row", [r for r in UNBIASED if r.unbiased == "all"], ids=by_name
)
def test_gradient_of_any_loss_is_unbiased(row, key):
    weights = jax.random.normal(key, (3, 5))
    loss = lambda mask: jnp.sin(2 * mask @ weights).sum(-1)
    masks = jnp.array(list(itertools.product([0.0, 1.0], repeat=3)))

    def expected_loss(scores):
        prob = jax.nn.sigmoid(scores)[None]
        return jnp.prod(jnp.where(masks > 0, prob, 1 - prob), -1) @ loss(masks)

    scores = jnp.array([0.5, -1.0, 0.2])
    draws = estimates(build(row), jnp.broadcast_to(scores, (100_000, 3)), loss)
    assert_mean_is(draws, jax.jit(jax.grad(expected_loss))(scores))


def test_straight_through_is_biased_on_that_loss(key):
    """The tests above can fail: what does not declare itself unbiased, fails them."""
    row = Row(dict(name="bernoulli_straight_through"))
    with pytest.raises(AssertionError):
        test_gradient_of_any_loss_is_unbiased(row, key)
