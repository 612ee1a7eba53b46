"""Scorers: a score for each unit, and what each kind looks at."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import layers
from dynsparse.budgets import set_density
from dynsparse.layers import (
    GatedBlock,
    GatedExperts,
    GatedHeads,
    GatedTokens,
    PooledScorer,
    RowScorer,
    UnitScorer,
    make_scorer,
)
from tests.layers.rows import TOKENS, WIDTH, build, inputs

X = jax.random.normal(jax.random.key(3), (5, TOKENS, WIDTH))


@pytest.mark.parametrize(
    ("scorer", "shape"),
    [
        (UnitScorer(width=WIDTH, hidden=4, rngs=nnx.Rngs(0)), (5, TOKENS)),
        (UnitScorer(width=WIDTH, hidden=None, rngs=nnx.Rngs(0)), (5, TOKENS)),
        (PooledScorer(width=WIDTH, hidden=4, num_units=3, rngs=nnx.Rngs(0)), (5, 3)),
        (
            RowScorer(width=WIDTH, hidden=4, num_units=3, rngs=nnx.Rngs(0)),
            (5, TOKENS, 3),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scorers_give_one_score_per_unit(scorer, shape):
    scores = jax.jit(lambda x: scorer(x))(X)
    assert scores.shape == shape
    assert len(np.unique(scores)) == scores.size


def test_static_scores_do_not_look_at_the_input():
    scorer = make_scorer(
        dict(name="static"),
        GatedTokens,
        width=WIDTH,
        num_units=TOKENS,
        rngs=nnx.Rngs(0),
    )
    scores = scorer(X)
    assert scores.shape == (5, TOKENS)
    assert (scores == scores[:1]).all()
    assert len(np.unique(scores)) == TOKENS
    gradient = nnx.grad(lambda scorer: scorer(X)[:, 2].sum())(scorer)
    np.testing.assert_array_equal(gradient.scores[...], 5 * (np.arange(TOKENS) == 2))


@pytest.mark.parametrize("k", range(1, TOKENS))
def test_evenly_spaced_units_leave_gaps_of_at_most_three_lengths(k):
    shape = dict(width=WIDTH, num_units=TOKENS, rngs=nnx.Rngs(0))
    scorer = make_scorer(dict(name="evenly_spaced"), GatedTokens, **shape)
    scores = np.asarray(scorer(X))
    assert (scores == scores[:1]).all()
    chosen = np.sort(np.argsort(scores[0])[-k:])
    assert len(set(np.diff(chosen))) <= 3
    assert not jax.tree.leaves(nnx.state(scorer, nnx.Param))


def test_magnitudes_are_norms_that_teach_nothing():
    shape = dict(width=WIDTH, num_units=TOKENS, rngs=nnx.Rngs(0))
    scorer = make_scorer(dict(name="magnitude"), GatedTokens, **shape)
    np.testing.assert_allclose(scorer(X), np.linalg.norm(X, axis=-1), rtol=1e-6)
    assert not jax.grad(lambda x: scorer(x).sum())(X).any()


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (GatedTokens, UnitScorer),
        (GatedBlock, PooledScorer),
        (GatedHeads, PooledScorer),
        (GatedExperts, RowScorer),
    ],
)
def test_scorers_follow_the_score_axis_of_the_layer(layer, kind):
    config = dict(name="mlp", hidden=4)
    scorer = make_scorer(config, layer, width=WIDTH, num_units=3, rngs=nnx.Rngs(0))
    assert type(scorer) is kind


def test_static_scores_of_rows_are_those_of_every_row():
    shape = dict(width=WIDTH, num_units=3, rngs=nnx.Rngs(0))
    scores = make_scorer(dict(name="static"), GatedExperts, **shape)(X)
    assert scores.shape == (5, TOKENS, 3)
    assert (scores == scores[:1, :1]).all()


def test_units_without_features_have_no_magnitude():
    shape = dict(width=WIDTH, num_units=3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="magnitude needs units with features"):
        make_scorer(dict(name="magnitude"), GatedHeads, **shape)


def test_scores_of_any_budget_follow_the_density():
    config, shape = dict(name="any_budget", hidden=4), dict(width=WIDTH, num_units=3)
    scorer = make_scorer(config, GatedExperts, **shape, rngs=nnx.Rngs(0))
    merged = lambda graphdef, state: nnx.merge(graphdef, state)(X)
    call = functools.partial(jax.jit, static_argnums=0)(merged)
    scores = lambda scorer: np.asarray(call(*nnx.split(scorer)))
    close = functools.partial(np.testing.assert_allclose, atol=1e-6)
    before = scores(scorer)
    set_density(scorer, jnp.float32(0.3))
    np.testing.assert_array_equal(scores(scorer), before)  # it has learned nothing yet
    scorer.by_density.slope[...] = jnp.arange(4.0)
    assert np.abs(scores(scorer) - before).max() > 1e-3
    close(scores(nnx.view(scorer, density=0.3)), scores(scorer))
    close(scores(nnx.view(scorer, density=1.0)), before)
    graphdef, state = nnx.split(scorer)
    gradient = jax.jit(jax.grad(lambda state: merged(graphdef, state).sum()))(state)
    assert np.any(gradient["by_density"]["slope"][...])


def test_linear_scores_are_linear_in_what_the_norm_gives():
    shape = dict(width=WIDTH, num_units=3, rngs=nnx.Rngs(0))
    scorer = make_scorer(dict(name="linear"), GatedHeads, **shape)
    expected = scorer.norm(X.mean(1)) @ scorer.score.kernel[...]
    np.testing.assert_allclose(scorer(X), expected, atol=1e-6)


def test_confidence_is_asked_of_answers_alone():
    config = dict(name="confidence", threshold=0.5, sharpness=1.0)
    shape = dict(width=WIDTH, num_units=1, rngs=nnx.Rngs(0))
    assert make_scorer(config, layers.GatedStage, **shape)(X[:, 0]).shape == (5, 1)
    with pytest.raises(ValueError, match="confidence needs an answer"):
        make_scorer(config, GatedBlock, **shape)


def test_a_score_for_each_unit_is_needed():
    scores = dict(width=WIDTH, num_units=TOKENS, rngs=nnx.Rngs(0))
    module, x = build("tokens", "soft_topk"), inputs("tokens", 3)[:, :8]
    module.scorer = make_scorer(dict(name="static"), GatedTokens, **scores)
    with pytest.raises(
        ValueError, match=r"StaticScorer gives .* \(3, 12\), .* \(3, 8\)"
    ):
        jax.eval_shape(module, x)
    module.scorer = make_scorer(dict(name="evenly_spaced"), GatedTokens, **scores)
    assert jax.eval_shape(module, x)[1].shape == (3, 8)
