"""The causal twin of top-k: what its threshold is, and how often the two agree."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.stats import norm

from dynsparse import gates, ops

DENSITY = 0.25
SPREAD = 0.3  # of the examples' levels


def build(**changes):
    spec = dict(name="ema_threshold", density=DENSITY, temperature=0.5, decay=0.9)
    return gates.from_config(spec | changes, rngs=nnx.Rngs(0))


see = nnx.jit(lambda gate, scores: gate(scores).mask)


@functools.partial(jax.jit, static_argnums=1)
def batch(key, n):
    level, noise = jax.random.split(key)
    return 0.3 * jax.random.normal(level, (64, 1)) + jax.random.normal(noise, (64, n))


def batches(number, n, seed=0):
    """Scores of examples that differ in their mean: hard ones want more units."""
    for key in jax.random.split(jax.random.key(seed), number):
        yield batch(key, n)


def trained_topk(density=DENSITY):
    spec = dict(name="soft_topk", density=density, temperature=1.0, family="logistic")
    return gates.from_config(spec, rngs=nnx.Rngs(0))


def test_training_opens_exactly_k(key):
    scores = jax.random.normal(key, (64, 32))
    assert (np.asarray(see(build(), scores)).sum(-1) == 8).all()


def test_first_steps_are_averaged_plainly():
    gate, between = build(), []
    for scores in batches(5, 32):
        see(gate, scores)
        ordered = -np.sort(-np.asarray(scores).ravel())
        between.append((ordered[511] + ordered[512]) / 2)  # of 64 x 32, a quarter
        np.testing.assert_allclose(gate.threshold[...], np.mean(between), rtol=1e-5)


def test_later_steps_decay():
    gate = build(decay=0.5)
    for scores in batches(20, 32):
        see(gate, scores)
    before = float(gate.threshold[...])
    see(gate, jnp.tile(jnp.arange(32.0), (64, 1)))  # between the 8th and 9th: 24 and 23
    np.testing.assert_allclose(gate.threshold[...], (before + 23.5) / 2, rtol=1e-5)


def test_evaluation_learns_nothing_and_needs_no_other_unit(key):
    gate = build()
    for scores in batches(20, 32):
        see(gate, scores)
    frozen = nnx.view(gate, deterministic=True)
    scores = jax.random.normal(key, (6, 32))
    together = see(frozen, scores)
    alone = np.stack([see(frozen, scores[:, [i]])[:, 0] for i in range(32)], -1)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(frozen.updates[...], 20)


def test_units_that_always_run_do_not_move_the_threshold_out_of_reach(key):
    """Class tokens, whose score is infinite, may be all that the density opens."""
    gate = build(density=1 / 32)
    scores = jax.random.normal(key, (64, 32)).at[:, 0].set(jnp.inf)
    for _ in range(2):
        see(gate, scores)
    mask = see(nnx.view(gate, deterministic=True), scores)
    np.testing.assert_array_equal(mask.sum(0), [64] + 31 * [0])


def expected_agreement():
    """1 - E|P(open | level) - density|, for rows so long that they have no noise."""
    level = np.linspace(-5, 5, 20_001) * SPREAD
    share = norm.sf(norm.isf(DENSITY, scale=(1 + SPREAD**2) ** 0.5) - level)
    weight = norm.pdf(level, scale=SPREAD)
    return 1 - weight @ np.abs(share - DENSITY) / weight.sum()


def test_twin_agrees_with_its_topk_gate_as_often_as_examples_let_it():
    topk = trained_topk()
    twin = gates.calibrate(topk, batches(50, 512), decay=0.99)
    fresh = jnp.concatenate(list(batches(20, 512, seed=1)))
    exact, causal = (
        see(nnx.view(gate, deterministic=True), fresh) for gate in (topk, twin)
    )
    agreement = float((exact == causal).mean())
    np.testing.assert_allclose(agreement, expected_agreement(), atol=0.005)
    assert 0.9 < agreement < 0.95
    np.testing.assert_allclose(causal.mean(), DENSITY, atol=0.01)
    assert (exact.sum(-1) == 128).all()
    assert causal.sum(-1).std() > 0.03 * 512  # its count follows the example


def test_without_differences_between_examples_the_twin_is_the_topk_gate():
    scores = jnp.broadcast_to(jax.random.normal(jax.random.key(3), (1, 64)), (8, 64))
    twin = gates.calibrate(trained_topk(), [scores], decay=0.0)
    np.testing.assert_array_equal(see(twin, scores), ops.hard_topk_mask(scores, 16))


def test_twin_takes_the_density_of_a_view():
    twin = gates.calibrate(
        nnx.view(trained_topk(), density=0.5), batches(1, 8), decay=0.5
    )
    assert twin.density == 0.5


def test_a_density_without_a_choice_is_refused():
    with pytest.raises(ValueError, match=r"density must be in \(0, 1\), got 1.0"):
        gates.calibrate(trained_topk(1.0), [], decay=0.5)


def test_no_batches_are_refused():
    with pytest.raises(ValueError, match="at least one batch of scores, got none"):
        gates.calibrate(trained_topk(), [], decay=0.5)
