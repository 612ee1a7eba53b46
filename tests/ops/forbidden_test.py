"""Masks of more units than `-inf` leaves: all that is left opens, and nothing else."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import ops
from tests.ops.rows import ROWS, compiled

N, ALLOWED = 17, 3
KEY = jax.random.key(1)
SAMPLED = dict(
    hard_topk=ops.hard_topk_mask,
    gumbel_topk=lambda s, k: ops.gumbel_topk_mask(KEY, s, k),
    imle_topk=lambda s, k: ops.imle_topk_mask(KEY, s, k),
    k_subset_sample=lambda s, k: ops.k_subset_sample(KEY, s, k),
    perturbed_topk=lambda s, k: ops.perturbed_topk_mask(
        KEY, s, k, sigma=0.5, num_samples=8
    ),
)
ONE_OF_MANY = dict(
    gumbel_softmax=lambda s: ops.gumbel_softmax(KEY, s, 1.0, hard=False),
    gumbel_softmax_hard=lambda s: ops.gumbel_softmax(KEY, s, 1.0, hard=True),
    reinmax=lambda s: ops.reinmax(KEY, s, 1.0),
    softmax=ops.softmax,
    sparsemax=lambda s: ops.sparsemax(s, 1.0),
)


def scores(allowed=ALLOWED):
    drawn = jax.random.normal(jax.random.key(0), (N,))
    return jnp.where(jnp.arange(N) >= N - allowed, drawn, -jnp.inf)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("k", [2, 5, N])
def test_a_soft_mask_opens_no_forbidden_unit(name, k):
    mask = compiled(name)(scores(), np.float32(k), np.float32(1))
    assert not mask[:-ALLOWED].any()
    assert (mask[-ALLOWED:] > 0).all()
    if ROWS[name].exact:
        np.testing.assert_allclose(mask.sum(), min(k, ALLOWED), rtol=1e-4)


@functools.partial(jax.jit, static_argnums=0)
def sample(name, scores, k):
    return SAMPLED[name](scores, k)


@pytest.mark.parametrize("name", SAMPLED)
@pytest.mark.parametrize("k", [2, 5, N])
def test_a_sampled_mask_opens_no_forbidden_unit(name, k):
    mask = sample(name, jnp.stack([scores(), scores(0)]), k)
    assert not mask[0, :-ALLOWED].any()
    np.testing.assert_allclose(mask.sum(-1), [min(k, ALLOWED), 0], rtol=1e-6)


@pytest.mark.parametrize("name", ONE_OF_MANY)
def test_one_of_many_is_never_a_forbidden_unit(name):
    share = jax.jit(ONE_OF_MANY[name])(jnp.stack([scores(), scores(0)]))
    assert not share[0, :-ALLOWED].any()
    np.testing.assert_allclose(share.sum(-1), [1, 0], rtol=1e-6)
