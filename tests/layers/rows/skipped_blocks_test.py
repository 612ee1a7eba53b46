"""Blocks that examples skip: what closed ones give, and state of the block."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import dynsparse
from tests.layers.proof.proof_test import BLOCKS, X, sparse
from tests.layers.zoo import foreign
from tests.layers.zoo.foreign import WIDTH, fresh


def test_a_closed_branch_without_a_skip_gives_zeros():
    branch = foreign.Residual(lambda m, x: jax.nn.relu(m.linear(x)))
    model = sparse(branch, BLOCKS)
    model.part.shift[...] = jnp.float32(-1e9)
    closed = dynsparse.evaluating(model)(X)
    np.testing.assert_array_equal(closed, jnp.zeros_like(X))


def test_a_skip_inside_of_a_loop_is_a_skip():
    def looped(m, x):
        turn = lambda carry: (carry[0] + 1, carry[1] + m.linear(carry[1]))
        return jax.lax.while_loop(lambda carry: carry[0] < 2, turn, (0, x))[1]

    model = sparse(foreign.Residual(looped), BLOCKS)
    assert model.part.batch.closed == (0,)


def test_a_host_that_draws_is_skipped_in_compact_execution():
    cell = nnx.LSTMCell(WIDTH, WIDTH, rngs=fresh())
    rnn = nnx.RNN(cell, rngs=fresh())
    part = foreign.Called(lambda m, x: x + m.rnn(x), rnn=rnn)
    model = dynsparse.evaluating(sparse(part, BLOCKS))
    compact = nnx.view(model, execution="compact")
    np.testing.assert_allclose(compact(X), model(X), atol=1e-5)
