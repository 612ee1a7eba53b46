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
    make_scorer,
)
from tests.layers.small_layers import TOKENS, WIDTH, build, inputs

X = jax.random.normal(jax.random.key(3), (5, TOKENS, WIDTH))


def made(layer, num_units=3, width=WIDTH, name="mlp", **keys):
    keys = keys or (dict(hidden=4) if name in ("mlp", "any_budget") else {})
    sizes = dict(width=width, num_units=num_units, rngs=nnx.Rngs(0))
    return make_scorer(dict(name=name, **keys), layer, **sizes)


@pytest.mark.parametrize("name", ["linear", "mlp"])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (GatedTokens, (5, TOKENS)),
        (GatedBlock, (5, 3)),
        (GatedHeads, (5, 3)),
        (GatedExperts, (5, TOKENS, 3)),
    ],
)
def test_scorers_give_one_score_per_unit(layer, shape, name):
    scorer = made(layer, name=name)
    scores = jax.jit(lambda x: scorer(x))(X)
    assert scores.shape == shape
    assert len(np.unique(scores)) == scores.size


def test_units_are_scored_alone_and_examples_by_their_mean():
    shuffled = X[:, ::-1]
    close = functools.partial(np.testing.assert_allclose, atol=1e-6)
    for layer in (GatedTokens, GatedExperts):
        scorer = made(layer)
        close(scorer(shuffled), scorer(X)[:, ::-1])
    scorer = made(GatedHeads)
    mean = jnp.broadcast_to(X.mean(1, keepdims=True), X.shape)
    close(scorer(mean), scorer(X))


class Largest(layers.Scorer):
    """The largest feature of each unit, times a factor."""

    axes = ("units",)
    reads = "units with features of their own"

    def __init__(self, shape, *, factor: float, rngs):
        super().__init__(shape, rngs=rngs)
        self.factor = factor

    def __call__(self, features):
        return self.factor * features.max(-1)


def test_a_scorer_outside_the_library_is_found_by_its_path():
    name = f"{__name__}:Largest"
    scorer = made(GatedTokens, name=name, factor=2.0)
    np.testing.assert_allclose(scorer(X), 2 * X.max(-1))
    with pytest.raises(ValueError, match="Largest reads units with features of their"):
        made(GatedHeads, name=name, factor=2.0)
    with pytest.raises(ValueError, match="needs the key 'factor'"):
        made(GatedTokens, name=name)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(name="largest"), "unknown name 'largest'; accepted: any_budget, conf"),
        (dict(name="mlp"), "mlp needs the key 'hidden'"),
        (dict(name="mlp", hidden=0), "hidden must be at least 1, got 0"),
        (dict(name="linear", hidden=4), "linear has no key 'hidden'"),
    ],
)
def test_mistakes_in_a_config_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make_scorer(config, GatedTokens, width=WIDTH, num_units=3, rngs=nnx.Rngs(0))


def test_every_scorer_serves_its_axes():
    kinds = (GatedTokens, layers.GatedFeatures, GatedBlock, layers.GatedStage)
    keys = dict(confidence=dict(threshold=0.5, sharpness=1.0))
    served = {
        name: [
            layer.score_axis
            for layer in (*kinds, GatedExperts)
            if layer.score_axis in layers.scorers.find(name).axes
            and made(layer, name=name, **keys.get(name, {}))
        ]
        for name in layers.scorers.available()
    }
    every = ["units", "fields", "example", "answer", "rows"]
    special = dict(magnitude=["units"], confidence=["answer"])
    assert served == {name: every for name in served} | special


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


def test_static_scores_of_rows_are_those_of_every_row():
    shape = dict(width=WIDTH, num_units=3, rngs=nnx.Rngs(0))
    scores = make_scorer(dict(name="static"), GatedExperts, **shape)(X)
    assert scores.shape == (5, TOKENS, 3)
    assert (scores == scores[:1, :1]).all()


def test_units_without_features_have_no_magnitude():
    shape = dict(width=WIDTH, num_units=3, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="magnitude reads units with features"):
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
    with pytest.raises(
        ValueError, match="confidence reads an answer, but the units of GatedBlock"
    ):
        make_scorer(config, GatedBlock, **shape)


def test_a_score_for_each_unit_is_needed():
    scores = dict(width=WIDTH, num_units=TOKENS, rngs=nnx.Rngs(0))
    module, x = build("tokens", "soft_topk"), inputs("tokens", 3)[:, :8]
    module.scorer = make_scorer(dict(name="static"), GatedTokens, **scores)
    with pytest.raises(
        ValueError, match=r"scorer Static gives .* \(3, 12\), .* \(3, 8\)"
    ):
        jax.eval_shape(module, x)
    module.scorer = make_scorer(dict(name="evenly_spaced"), GatedTokens, **scores)
    assert jax.eval_shape(module, x)[1].shape == (3, 8)
