"""Rows that are counted to be read or written in place stay apart from each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dynsparse
from tests.layers.proof.proof_test import BLOCKS, X, check_refusal, sparse
from tests.layers.zoo import foreign


def last(m, x):
    """Reads one token of each example."""
    return x + m.linear(x)[jnp.arange(len(x)), jnp.full(len(x), -1)][:, None]


def best(m, x):
    """Keeps the largest feature of each token."""
    y = m.linear(x)
    rows = jnp.arange(y.shape[0])[:, None], jnp.arange(y.shape[1])[None]
    at = *rows, y.argmax(-1)
    return x + jnp.zeros_like(y).at[at].set(jnp.float32(1)) * y


@pytest.mark.parametrize("call", [last, best])
def test_examples_skip_a_host_that_counts_them_in_place(call):
    model = sparse(foreign.Residual(call), BLOCKS)
    compact = dynsparse.evaluating(model, execution="compact")
    masked = dynsparse.evaluating(model)(X)
    np.testing.assert_allclose(compact(X), masked, atol=1e-5)
    assert jnp.any(masked != X)


@pytest.mark.parametrize(
    "places",
    [
        lambda n: (jnp.arange(n) + 1) % n,
        lambda n: n - 1 - jnp.arange(n),
        lambda n: jnp.array([0, 2, 1])[:n],
    ],
)
def test_other_places_than_their_own_are_refused(places):
    call = lambda m, x: x + m.linear(x)[places(len(x))]
    with jax.numpy_rank_promotion("allow"):
        check_refusal("a look-up along it", foreign.Residual(call), BLOCKS)


def test_a_count_that_is_added_is_refused_all_the_same():
    def call(m, x):
        count = jnp.arange(len(x))
        return x + m.linear(x)[count] * count[:, None, None].astype(x.dtype)

    check_refusal("its entries are numbered", foreign.Residual(call), BLOCKS)
