"""Tokens bypass a host that knows nothing of it."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import dynsparse
from tests.layers.proof.proof_test import BYPASS, X, sparse
from tests.layers.zoo import foreign
from tests.layers.zoo.foreign import WIDTH, fresh


def test_open_tokens_are_the_host_on_them_alone():
    block = foreign.Block()
    model = dynsparse.evaluating(
        sparse(block, BYPASS), execution="compact", density=0.5
    )
    _, captured = nnx.capture(model, dynsparse.GateRecord)(X)
    mask = dynsparse.records(captured)["part"].mask
    output = model(X)
    for row, own, opened in zip(X, output, mask > 0, strict=True):
        alone = block(row[opened][None])[0]
        np.testing.assert_allclose(own[opened], alone, atol=1e-5)
        np.testing.assert_array_equal(own[~opened], row[~opened])


def test_gradients_are_finite_where_all_that_a_token_sees_is_closed():
    causal = jnp.tril(jnp.ones((6, 6), bool))
    call = lambda m, x: x + m.part(x, mask=causal)
    attention = nnx.MultiHeadAttention(2, WIDTH, decode=False, rngs=fresh())
    net = lambda part: foreign.Called(lambda m, x: m.part(x), part=part)
    block = foreign.Called(lambda m, x: call(m, x), part=attention)
    model = sparse(block, BYPASS, net=net)
    slope = jax.jit(jax.grad(lambda x: jnp.square(model(x)).sum()))(X)
    assert jnp.isfinite(slope).all()
