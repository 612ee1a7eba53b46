"""Samplers: counts, inclusion, determinism, and the distributions that agree."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from dynsparse import ops

DRAWS = 40_000
SCORES = jnp.array([0.3, -1.0, 0.8, 0.1, 1.9])
SUBSETS = np.array(
    [z for z in itertools.product([0.0, 1.0], repeat=5) if sum(z) == 2], np.float32
)
soft = lambda scores, k: ops.soft_topk_mask(scores, k, 0.7)


def subset_probabilities(scores):
    return jax.nn.softmax(SUBSETS @ scores)


def plackett_luce_probabilities(scores):
    """Of each of SUBSETS, over both orders of drawing it."""
    prob = np.float64(jax.nn.softmax(scores))
    pairs = [np.flatnonzero(z) for z in SUBSETS]
    draw = lambda i, j: prob[i] * prob[j] / (1 - prob[i])
    return np.array([draw(i, j) + draw(j, i) for i, j in pairs])


SAMPLERS = dict(
    systematic=(
        lambda key, s, k: ops.systematic_round(key, soft(s, k)),
        lambda s: soft(s, 2.0),
    ),
    k_subset=(ops.k_subset_sample, lambda s: subset_probabilities(s) @ SUBSETS),
    gumbel_topk=(
        ops.gumbel_topk_mask,
        lambda s: plackett_luce_probabilities(s) @ SUBSETS,
    ),
    imle=(ops.imle_topk_mask, lambda s: plackett_luce_probabilities(s) @ SUBSETS),
)
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


@functools.partial(jax.jit, static_argnums=0)
def compiled_draw(name, key, scores, k):
    return SAMPLERS[name][0](key, jnp.broadcast_to(scores, (DRAWS, len(scores))), k)


@functools.cache
def draw(name, k, seed=0):
    """Draws of SCORES, which several tests look at."""
    return np.asarray(compiled_draw(name, jax.random.key(seed), SCORES, k))


@every_sampler
def test_every_draw_opens_exactly_k(name):
    for k in (0, 2, 5):
        z = draw(name, k)
        assert set(np.unique(z)) <= {0.0, 1.0}
        np.testing.assert_array_equal(z.sum(-1), k)


@every_sampler
def test_units_are_included_as_often_as_they_should(name):
    expected = np.asarray(SAMPLERS[name][1](SCORES))
    opened = draw(name, 2).mean(0)
    error = np.sqrt(expected * (1 - expected) / DRAWS)
    assert (np.abs(opened - expected) < 4 * error).all()


@pytest.mark.parametrize(
    ("name", "probabilities"),
    [
        ("k_subset", subset_probabilities),
        ("gumbel_topk", plackett_luce_probabilities),
    ],
)
def test_subsets_are_drawn_with_their_probabilities(name, probabilities):
    z = draw(name, 2)
    counts = np.array([(z == subset).all(-1).sum() for subset in SUBSETS])
    expected = DRAWS * np.asarray(probabilities(SCORES))
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert statistic < chi2.isf(1e-4, len(SUBSETS) - 1)


def test_plackett_luce_is_not_the_k_subset_distribution():
    difference = plackett_luce_probabilities(SCORES) - subset_probabilities(SCORES)
    assert np.abs(difference).max() > 0.02


@every_sampler
def test_a_key_decides_the_draw(name):
    again = compiled_draw(name, jax.random.key(0), SCORES, 2)
    np.testing.assert_array_equal(draw(name, 2), again)
    assert (draw(name, 2) != draw(name, 2, seed=1)).any()


@every_sampler
def test_rows_are_drawn_apart(name, key):
    z = np.asarray(compiled_draw(name, key, jnp.zeros(5), 2))
    assert len(np.unique(z[:64], axis=0)) > 5


def test_rounding_opens_the_floor_or_the_ceiling_of_the_sum(key):
    mask = jnp.broadcast_to(jnp.array([0.5, 0.9, 0.8, 0.1]), (DRAWS, 4))
    counts = jax.jit(ops.systematic_round)(key, mask).sum(-1)
    assert set(np.unique(counts)) == {2.0, 3.0}
    np.testing.assert_allclose(counts.mean(), 2.3, atol=4 * 0.5 / DRAWS**0.5)


def test_rounding_leaves_hard_masks_alone(key):
    mask = jnp.array([[1.0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    np.testing.assert_array_equal(jax.jit(ops.systematic_round)(key, mask), mask)


@pytest.mark.parametrize("temperature", [1e-3, 1.0, 30.0])
def test_rounding_a_long_mask_keeps_the_count(temperature):
    n, k = 2**18, 60_001
    scores = jax.random.normal(jax.random.key(3), (n,))
    mask = jax.jit(ops.soft_topk_mask)(scores, k, temperature)
    assert jax.jit(ops.systematic_round)(jax.random.key(0), mask).sum() == k


def test_rounding_is_negatively_dependent():
    covariance = np.cov(draw("systematic", 2).T)
    off = covariance - np.diag(np.diag(covariance))
    assert off.sum() < -0.5 * np.diag(covariance).sum()


def test_bfloat16_masks_are_rounded_to_k(key):
    mask = ops.soft_topk_mask(SCORES.astype(jnp.bfloat16), 2, 0.7)
    z = jax.jit(ops.systematic_round)(key, jnp.broadcast_to(mask, (1000, 5)))
    assert z.dtype == jnp.bfloat16
    assert set(np.unique(np.float32(z).sum(-1))) <= {1.0, 2.0, 3.0}


# The k-subset distribution: partition, marginals, log-probability and score agree.


@jax.jit
def partition_and_marginals(scores, k):
    return ops.k_subset_log_partition(scores, k), ops.k_subset_marginals(scores, k)


@pytest.mark.parametrize("k", range(6))
def test_partition_and_marginals_match_enumeration(k):
    masks = np.array([z for z in itertools.product([0, 1], repeat=5) if sum(z) == k])
    weights = np.exp(masks @ np.float64(SCORES))
    log_partition, marginals = partition_and_marginals(SCORES, k)
    np.testing.assert_allclose(log_partition, np.log(weights.sum()), atol=1e-5)
    expected = weights @ masks / weights.sum()
    np.testing.assert_allclose(marginals, expected, atol=1e-6)


def test_log_probabilities_are_those_of_enumeration():
    found = jax.jit(ops.k_subset_log_prob)(np.tile(SCORES, (10, 1)), SUBSETS)
    expected = np.log(subset_probabilities(SCORES))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_log_probabilities_of_far_masks_are_not_cut_off():
    scores = jnp.array([500.0, 0.0, -300.0])
    found = jax.jit(ops.k_subset_log_prob)(scores, jnp.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, -800.0, rtol=1e-6)


def test_gradient_of_the_log_probability_is_the_mask_less_the_marginals():
    gradient = jax.jit(jax.grad(ops.k_subset_log_prob))(SCORES, SUBSETS[3])
    marginals = jax.jit(ops.k_subset_marginals, static_argnums=1)(SCORES, 2)
    np.testing.assert_allclose(gradient, SUBSETS[3] - marginals, atol=1e-6)
    np.testing.assert_allclose(gradient.sum(), 0, atol=1e-6)


def test_jacobian_of_the_marginals_is_the_covariance_of_the_mask():
    prob = np.float64(subset_probabilities(SCORES))
    mean = prob @ SUBSETS
    covariance = (SUBSETS.T * prob) @ SUBSETS - np.outer(mean, mean)
    jacobian = jax.jit(jax.jacobian(lambda s: ops.k_subset_marginals(s, 2)))(SCORES)
    np.testing.assert_allclose(jacobian, covariance, atol=1e-6)


@pytest.mark.parametrize("scores", [[0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
def test_ties_have_the_right_jacobian(scores):
    scores = jnp.array(scores)
    with jax.enable_x64(True):
        jacobian = jax.jit(jax.jacobian(lambda s: ops.k_subset_marginals(s, 1)))(
            scores.astype(jnp.float64)
        )
    prob = jax.nn.softmax(scores)
    expected = jnp.diag(prob) - jnp.outer(prob, prob)
    np.testing.assert_allclose(jacobian, expected, atol=1e-6)


def test_long_rows_have_marginals_that_sum_to_k():
    scores = 3 * jax.random.normal(jax.random.key(0), (1000,))
    both = lambda s: (
        ops.k_subset_marginals(s, 250),
        ops.k_subset_sample(jax.random.key(1), s, 250),
    )
    marginals, sample = jax.jit(both)(scores)
    np.testing.assert_allclose(np.float64(marginals).sum(), 250, atol=2e-2)
    assert sample.sum() == 250


def test_plackett_luce_log_probabilities_add_up_over_orders():
    orders = jnp.array(list(itertools.permutations(range(5), 2)))
    rows = jnp.broadcast_to(SCORES, (len(orders), 5))
    prob = np.exp(jax.jit(ops.plackett_luce_log_prob)(rows, orders))
    np.testing.assert_allclose(prob.sum(), 1, rtol=1e-5)
    by_subset = [
        prob[[set(order.tolist()) == set(np.flatnonzero(z)) for order in orders]].sum()
        for z in SUBSETS
    ]
    np.testing.assert_allclose(
        by_subset, plackett_luce_probabilities(SCORES), rtol=1e-5
    )


def test_plackett_luce_draws_infinite_scores_for_sure():
    scores = jnp.array([1.0, jnp.inf, 2.0, -jnp.inf])
    price = jax.jit(jax.value_and_grad(ops.plackett_luce_log_prob))
    prob, slope = price(scores, jnp.array([1, 2]))
    expected, slope_of_two = price(scores[::2], jnp.array([1]))
    np.testing.assert_allclose(prob, expected, rtol=1e-6)
    np.testing.assert_allclose(slope, [slope_of_two[0], 0, slope_of_two[1], 0])
    assert price(scores, jnp.array([0, 1]))[0] < -100


# Perturbed top-k: its gradients come from draws.


def test_perturbed_masks_and_jacobians_are_unbiased(key):
    """With Gumbel noise the smoothed mask is the inclusion of Plackett-Luce."""
    smooth = lambda key, s: ops.perturbed_topk_mask(
        key, s, 2, sigma=1.0, num_samples=64
    )
    rows = jnp.broadcast_to(SCORES, (4000, 5))

    def loss(s):
        mask = smooth(key, s)
        return (mask @ jnp.arange(5.0)).sum(), mask

    gradients, mask = map(np.asarray, jax.jit(jax.grad(loss, has_aux=True))(rows))
    inclusion = lambda s: plackett_luce_probabilities(s) @ SUBSETS
    np.testing.assert_allclose(mask.mean(0), inclusion(SCORES), atol=5e-3)
    np.testing.assert_allclose(mask.sum(-1), 2, atol=1e-5)
    step = 1e-2
    for unit in range(5):
        shift = step * (np.arange(5) == unit)
        above, below = inclusion(SCORES + shift), inclusion(SCORES - shift)
        expected = (above - below) @ np.arange(5.0) / (2 * step)
        error = gradients[:, unit].std() / len(gradients) ** 0.5
        assert abs(gradients[:, unit].mean() - expected) < 4 * error + 1e-3


def test_perturbed_rows_do_not_share_noise(key):
    loss = lambda s: ops.perturbed_topk_mask(key, s, 2, sigma=1.0, num_samples=8)[
        0
    ].sum()
    gradient = jax.jit(jax.grad(loss))(jnp.broadcast_to(SCORES, (3, 5)))
    assert not gradient[1:].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key: ops.k_subset_marginals(SCORES, 6), r"k in \[0, 5\], got 6"),
        (lambda key: ops.gumbel_topk_mask(key, SCORES, -1), r"k in \[0, 5\], got -1"),
        (lambda key: ops.imle_topk_mask(key, SCORES, 2, 0.0), "step > 0, got 0.0"),
        (
            lambda key: ops.perturbed_topk_mask(
                key, SCORES, 2, sigma=1.0, num_samples=0
            ),
            "num_samples > 0, got 0",
        ),
    ],
)
def test_values_out_of_range_are_named(call, message, key):
    with pytest.raises(ValueError, match=message):
        call(key)
