"""The nucleus gate against its definition, unit by unit in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.gates.rows import ROWS, WEIGHTS, N, build, compiled, random_rows, slopes

P, TEMPERATURE = (ROWS["nucleus"].spec[key] for key in ("p", "temperature"))


def softmax(scores):
    shares = np.exp(np.float64(scores - scores.max()) / TEMPERATURE)
    return shares / shares.sum()


def test_the_fewest_units_that_hold_p_are_open(key):
    scores = np.asarray(random_rows(key))
    masks = np.asarray(compiled("nucleus")(scores).mask)
    for row, mask in zip(scores, masks, strict=True):
        falling = -np.sort(-softmax(row))
        fewest = 1 + int((np.cumsum(falling) < P).sum())
        assert mask.sum() == fewest
        assert row[mask > 0].min() > row[mask == 0].max()
    assert len(set(masks.sum(-1))) > 3


def test_gradient_is_that_of_the_probability_before_each_unit(key):
    scores = jax.random.normal(key, (N,))
    share = softmax(np.asarray(scores))
    comes_before = np.asarray(scores)[None] > np.asarray(scores)[:, None]
    by_scores = (np.diag(share) - np.outer(share, share)) / TEMPERATURE
    expected = -np.asarray(WEIGHTS) @ comes_before @ by_scores
    found = slopes("nucleus")(scores)
    np.testing.assert_allclose(found.mask, expected, atol=1e-6)
    np.testing.assert_allclose(found.open_prob, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("p", "opened"), [(0.1, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.99, 4)]
)
def test_of_equal_scores_the_lower_indices_open(p, opened):
    mask = build(ROWS["nucleus"], p=p)(jnp.full((4,), 3.0)).mask
    np.testing.assert_array_equal(mask, np.arange(4) < opened)


def test_a_density_penalty_closes_units(key):
    scores = 0.1 * jax.random.normal(key, (64, N))
    gate = compiled("nucleus")
    density = jax.jit(lambda scores: gate(scores).open_prob.mean(-1).sum())
    fewer = scores - 200 * jax.grad(density)(scores)
    assert density(fewer) < 0.8 * density(scores)


def test_infinite_scores_open_beside_the_nucleus_of_the_others(key):
    scores = random_rows(key)
    together = compiled("nucleus")(scores.at[:, 0].set(jnp.inf)).mask
    alone = compiled("nucleus")(scores.at[:, 0].set(-jnp.inf)).mask
    np.testing.assert_array_equal(together[:, 1:], alone[:, 1:])
    assert together[:, 0].all()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_p_out_of_range_is_named(p):
    with pytest.raises(ValueError, match=rf"p must be in \(0, 1\), got {p}"):
        build(ROWS["nucleus"], p=p)
