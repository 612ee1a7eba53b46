"""Scores of -inf, such as those of padding, forbid units; others open, one at least."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import ops
from tests.gates.rows import (
    GATES,
    ROWS,
    N,
    build,
    by_name,
    compiled,
    deterministic,
    fixed_gates,
    of_each_kind,
    random_rows,
    sampled_gates,
    slopes,
)

ALLOWED = 3
both_modes = pytest.mark.parametrize("evaluation", [False, True], ids="TE".__getitem__)
ONE_OF_MANY = [row for row in GATES if by_name(row) == "gumbel_softmax"]

choosing_gates = pytest.mark.parametrize(
    "row", of_each_kind(row for row in GATES if by_name(row) != "dense"), ids=by_name
)


def padded(key, allowed=ALLOWED):
    """Scores of sequences that end after `allowed` units."""
    return jnp.where(np.arange(N) < allowed, random_rows(key), -jnp.inf)


@choosing_gates
@both_modes
@pytest.mark.parametrize("allowed", [0, ALLOWED])
def test_forbidden_units_never_open(row, evaluation, allowed, key):
    decision = compiled(by_name(row), evaluation=evaluation)(padded(key, allowed))
    for part in decision:
        assert not part[:, allowed:].any()
        assert jnp.isfinite(part).all()


@sampled_gates
def test_forbidden_units_spoil_no_gradient(row, key):
    for scores in (padded(key)[0], padded(key, allowed=0)[0]):
        for part in slopes(by_name(row))(scores):
            assert jnp.isfinite(part).all()


@fixed_gates
@both_modes
def test_a_density_is_of_the_units_that_are_allowed(row, evaluation, key):
    decide = compiled(by_name(row), evaluation=evaluation, density=0.5)
    mask = decide(padded(key, np.repeat([0, 3, 8, N], 16)[:, None])).mask
    expected = np.repeat([0, 2, 4, 8], 16)
    np.testing.assert_allclose(mask.sum(-1), expected, atol=1e-5)


@fixed_gates
@both_modes
def test_a_density_that_rounds_to_nothing_opens_one_unit(row, evaluation, key):
    mask = compiled(by_name(row), evaluation=evaluation, density=0.02)(
        random_rows(key)
    ).mask
    np.testing.assert_allclose(mask.sum(-1), 1, atol=1e-5)
    assert nnx.view(build(row), density=0.02).static_count(N) == 1


@pytest.mark.parametrize("row", ONE_OF_MANY, ids=by_name)
def test_one_unit_of_those_allowed_opens(row, key):
    mask = compiled(by_name(row))(padded(key)).mask
    np.testing.assert_allclose(mask.sum(-1), 1, atol=1e-6)


see = nnx.jit(lambda gate, scores: gate(scores).mask)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_threshold_reaches_its_density_in_every_precision(dtype, key):
    """Scores near 1, whose bfloat16 values are coarser than the threshold needs."""
    gate = build(ROWS["ema_threshold"], density=0.3)
    scores = (1.75 + 0.05 * jax.random.normal(key, (256, 64))).astype(dtype)
    see(gate, scores)
    mask = see(deterministic(gate), scores)
    assert mask.dtype == dtype
    # In bfloat16, ties at the threshold are as wide as a hundredth of the scores.
    np.testing.assert_allclose(mask.astype(jnp.float32).mean(), 0.3, atol=0.1)


def test_a_threshold_is_learnt_from_what_is_allowed(key):
    short, padded_too = (build(ROWS["ema_threshold"], density=0.5) for _ in range(2))
    scores = padded(key, allowed=8)
    see(short, scores[:, :8])
    see(padded_too, scores)
    np.testing.assert_allclose(padded_too.threshold[...], short.threshold[...])


def test_a_batch_of_padding_moves_no_threshold(key):
    gate = build(ROWS["ema_threshold"], density=0.5)
    see(gate, padded(key))
    before = float(gate.threshold[...])
    see(gate, padded(key, allowed=0))
    assert float(gate.threshold[...]) == before


@pytest.mark.parametrize("n", [1, 8, 16, 1000])
def test_counts_are_the_same_traced_or_not(n):
    densities = np.linspace(0, 1, 201, dtype=np.float32)
    traced = jax.vmap(ops.traced_num_open, (0, None))(densities, jnp.int32(n))
    np.testing.assert_array_equal(
        traced, [ops.num_open(float(d), n) for d in densities]
    )
    assert (traced[0], traced[1], traced[-1]) == (0, max(1, round(0.005 * n)), n)
