"""Properties of gated layers beside the agreement of their executions."""

import collections
import functools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import layers
from dynsparse.budgets import set_density
from dynsparse.gates import evaluating
from dynsparse.layers import (
    GatedBlock,
    GatedExperts,
    GatedHeads,
    GatedTokens,
    PooledScorer,
    RowScorer,
    UnitScorer,
    branches,
    make_scorer,
    masked_attention,
)
from tests.layers.masked_equals_compact_test import run
from tests.layers.rows import LAYERS, TOKENS, WIDTH, Inner, build, inputs, output

X = jax.random.normal(jax.random.key(3), (5, TOKENS, WIDTH))
REFUSED = [(layer, gate) for layer, row in LAYERS.items() for gate in row.refused]
LEARNED = [  # by one gate; by the other where it is marked full
    pytest.param(
        layer,
        gate,
        marks=pytest.mark.full
        if gate == "gumbel_sigmoid" and "soft_topk" in row.gates
        else (),
    )
    for layer, row in LAYERS.items()
    for gate in row.gates
    if gate in ("soft_topk", "gumbel_sigmoid") and layer != "width"
]


@pytest.mark.parametrize(("layer", "gate"), LEARNED)
def test_masked_execution_teaches_scorer_and_host(layer, gate):
    graphdef, params, rest = nnx.split(build(layer, gate), nnx.Param, ...)
    rest, x = nnx.to_pure_dict(rest), inputs(layer, 5)

    def loss(params):
        module = nnx.merge(graphdef, params, rest)
        return jnp.square(output(module(x))).sum()

    gradient = jax.jit(jax.grad(loss))(params)
    if layer == "exits":
        gradient = gradient["first"]
    for part in ("scorer", "host"):
        leaves = jax.tree.leaves(gradient[part])
        assert all(np.isfinite(leaf).all() for leaf in leaves)
        assert sum(bool(np.any(leaf)) for leaf in leaves) > len(leaves) // 2


@pytest.mark.parametrize(("layer", "gate"), REFUSED)
def test_a_gate_of_another_kind_is_refused_in_words(layer, gate):
    with pytest.raises(
        ValueError,
        match=r"takes gates whose count is (varying|fixed) or full; |a random gate",
    ):
        build(layer, gate)


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (dict(execution="sparse"), "execution must be one of .* got 'sparse'"),
        (dict(capacity_steps=0), "capacity_steps must be at least 1, got 0"),
        (dict(forced_count=TOKENS + 1), rf"forced_count must be in \[0, {TOKENS}\]"),
    ],
)
def test_unknown_views_are_named(view, message):
    with pytest.raises(ValueError, match=message):
        nnx.view(build("tokens", "soft_topk"), **view)


def test_closed_tokens_do_not_touch_the_open_ones():
    module = evaluating(build("tokens", "soft_topk"))
    _, (mask,) = run(module, X)
    # The same decision for inputs that differ only where it is closed.
    output = jax.jit(lambda x: module.host(x, mask) * mask[..., None])
    disturbed = jnp.where(mask[..., None] > 0, X, X[:, ::-1, ::-1])
    np.testing.assert_allclose(output(disturbed), output(X), atol=1e-5)


def test_dense_execution_asks_no_gate():
    module = build("tokens", "random_topk")
    output, (mask,) = run(nnx.view(module, execution="dense"), X)
    np.testing.assert_array_equal(mask, 1)
    host = jax.jit(lambda x: module.host(x, None))
    np.testing.assert_allclose(output, host(X), atol=1e-6)


def test_a_layer_that_is_called_twice_in_a_pass_is_refused():
    class Twice(nnx.Module):
        def __init__(self):
            self.layer = build("neurons", "soft_topk")

        def __call__(self, x):
            return self.layer(self.layer(x))

    with pytest.raises(ValueError, match="^layer is called 2 times in one pass"):
        run(Twice(), inputs("neurons", 2))


def test_calls_outside_capture_leave_nothing_behind():
    module = build("tokens", "soft_topk")
    before = jax.tree.structure(nnx.state(module))
    jax.jit(lambda x: module(x))(X)
    assert jax.tree.structure(nnx.state(module)) == before


@pytest.mark.parametrize("density", [0.25, 0.5])
def test_densities_compile_masked_execution_once(density):
    graphdef, state = nnx.split(build("tokens", "soft_topk"))
    traces = 0

    @jax.jit
    def apply(state, density):
        nonlocal traces
        traces += 1
        module = nnx.merge(graphdef, state)
        module.gate.density[...] = density
        return module(X)[1].sum(-1)

    for value in (density, 2 * density):
        np.testing.assert_array_equal(apply(state, value), round(value * TOKENS))
    assert traces == 1


@pytest.mark.parametrize("layer", ["tokens", "neurons"])
def test_compact_execution_compiles_once_per_rung_and_batch(layer):
    module, compiled = build(layer, "soft_topk"), collections.Counter()
    rungs = {
        density: nnx.split(evaluating(module, execution="compact", density=density))
        for density in (0.25, 0.5, 1.0)
    }

    @functools.partial(jax.jit, static_argnums=0)
    def apply(density, state, x):
        compiled[density, len(x)] += 1
        return output(nnx.merge(rungs[density][0], state)(x))

    for scale in (1.0, 2.0):  # other weights and inputs are no other programs
        for density, (_, state) in rungs.items():
            state = jax.tree.map(lambda leaf, scale=scale: leaf * scale, state)
            for batch in (1, 3):
                apply(density, state, scale * inputs(layer, batch))
    assert compiled == {(d, batch): 1 for d in rungs for batch in (1, 3)}
    assert apply._cache_size() == 6


attend = jax.jit(masked_attention)


def attention_inputs():
    keys = jax.random.split(jax.random.key(0), 3)
    return [3 * jax.random.normal(key, (2, 6, 2, 4)) for key in keys]


def test_masked_attention_is_attention_over_the_open_tokens():
    query, key, value = attention_inputs()
    mask = jnp.array([[1.0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]])
    masked = attend(query, key, value, mask)
    for example in range(2):
        kept = np.flatnonzero(mask[example])
        part = [x[example : example + 1, kept] for x in (query, key, value)]
        expected = jax.nn.dot_product_attention(*part)
        np.testing.assert_allclose(masked[example, kept], expected[0], atol=1e-5)


def test_masked_attention_survives_closed_tokens_of_any_size():
    query, key, value = attention_inputs()
    mask = jnp.array([[1.0, 0, 1, 1, 0, 0]] * 2)
    loud = jnp.where(mask[..., None, None] > 0, key, 1e4)
    loss = lambda mask: masked_attention(query, loud, value, mask).sum()
    assert np.isfinite(jax.jit(jax.grad(loss))(mask)).all()
    np.testing.assert_allclose(
        attend(query, loud, value, mask), attend(query, key, value, mask), atol=1e-5
    )


@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e-24, 1e-30])
def test_attention_asks_how_masks_compare_and_not_how_large_they_are(scale):
    query, key, value = attention_inputs()
    mask = jnp.array([[1.0, 0.4, 1e-2, 0.2, 0.7, 0.9]] * 2)
    grad = jax.grad(
        lambda *arrays: jnp.sin(masked_attention(*arrays)).sum(), argnums=(0, 1, 2, 3)
    )
    large, small = (jax.jit(grad)(query, key, value, m) for m in (mask, scale * mask))
    for a, b in zip(large, (*small[:3], scale * small[3]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_loud_token_that_is_hardly_open_spoils_no_gradient():
    query, key, value = attention_inputs()
    loud = key.at[:, 0].multiply(1e2)
    mask = jnp.full((2, 6), 1.0).at[:, 0].set(1e-30)
    loss = lambda *arrays: jnp.sin(masked_attention(*arrays)).sum()
    slopes = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(query, loud, value, mask)
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_mask_gradient_of_attention_matches_finite_differences():
    query, key, value = [x / 3 for x in attention_inputs()]
    mask = jnp.array([[1.0, 0.4, 1, 0.2, 0.7, 0.9]] * 2)
    loss = jax.jit(
        lambda mask: jnp.sin(masked_attention(query, key, value, mask)).sum()
    )
    direction = np.cos(np.arange(12, dtype=np.float32)).reshape(2, 6)
    step = np.float32(1e-2)
    difference = loss(mask + step * direction) - loss(mask - step * direction)
    analytic = (jax.jit(jax.grad(loss))(mask) * direction).sum()
    np.testing.assert_allclose(analytic, difference / (2 * step), rtol=1e-2)


def test_no_open_token_attends_to_nothing():
    query, key, value = attention_inputs()
    output = attend(query, key, value, jnp.zeros((2, 6)))
    np.testing.assert_array_equal(output, 0)


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


def test_every_granularity_is_in_the_table():
    exported = [getattr(layers, name) for name in layers.__all__]
    kinds = [kind for kind in exported if isinstance(kind, type)]
    gated = {kind for kind in kinds if issubclass(kind, layers.GatedLayer)}
    built = {
        type(module)
        for layer in LAYERS
        for _, module in nnx.iter_modules(build(layer, "dense"))
        if isinstance(module, layers.GatedLayer)
    }
    assert gated - {layers.GatedLayer} == built


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


MISFITS = [
    (
        lambda host, **parts: layers.GatedNeurons(host=host, num_blocks=5, **parts),
        "num_blocks=5 must divide the 16 hidden units",
    ),
    (
        lambda host, **parts: layers.GatedWidth(
            host=host, num_slices=3, gate=parts["gate"]
        ),
        "num_slices=3 must divide the 16 hidden units",
    ),
]


@pytest.mark.parametrize(("make", "message"), MISFITS)
def test_parts_of_unequal_size_are_refused(make, message):
    mlp = layers.Mlp.create(width=WIDTH, hidden=16, rngs=nnx.Rngs(0))
    parts = build("neurons", "soft_topk")
    with pytest.raises(ValueError, match=message):
        make(mlp, scorer=parts.scorer, gate=parts.gate)


def test_tiles_that_do_not_cover_the_picture_are_refused():
    module = build("positions", "soft_topk")
    with pytest.raises(ValueError, match=r"tiles of 2 pixels cover \(8, 8\), not"):
        module(jnp.zeros((1, 10, 8, WIDTH)))


@pytest.mark.parametrize("layer", ["neurons", "experts"])
def test_rows_that_are_closed_run_nothing(layer):
    """Inside of dropped tokens: no unit of a closed token is open, in any execution."""
    module, x = build(layer, "soft_topk"), inputs(layer, 3)
    mask = np.broadcast_to(np.float32(np.arange(TOKENS) % 3 > 0), (3, TOKENS))
    for execution in ("masked", "compact", "dense"):
        _, (opened,) = run(evaluating(module, execution=execution), x, mask)
        opened = np.asarray(opened)
        assert not opened[:, ::3].any()
        assert opened[:, 1::3].any()


def test_who_left_stays_away_and_keeps_the_answer():
    module, x = build("exits", "gumbel_sigmoid"), inputs("exits", 64)
    module = evaluating(module)
    logits, masks = run(module, x)
    first, second = (np.asarray(mask)[:, 0] for mask in masks)
    assert (second <= first).all()
    assert 0 < second.sum() < first.sum() < 64
    left = first == 0
    answer = jax.jit(lambda x: module.answer(x))(x)
    np.testing.assert_allclose(logits[left], answer[left], atol=1e-6)


def test_widths_are_nested():
    module, x = build("width", "soft_topk"), inputs("width", 2)
    host = module.host
    hidden = np.asarray(jax.jit(lambda x: host.activation(host.up(x)))(x))
    down = jax.jit(lambda hidden: host.down(hidden))
    for k in range(5):
        view = nnx.view(module, execution="compact", density=k / 4)
        first = hidden * (np.arange(hidden.shape[-1]) < 4 * k)
        np.testing.assert_allclose(run(view, x)[0], down(first), atol=1e-5)


@pytest.mark.parametrize("gate", ["sparsemax", "ema_threshold"])
def test_units_cannot_compete_where_there_is_one(gate):
    with pytest.raises(ValueError, match="compete, so it needs more"):
        build("blocks", gate)


def test_late_tokens_are_dropped_where_that_was_asked_for():
    free, limited = (
        build("experts", "gumbel_sigmoid"),
        build("dropped", "gumbel_sigmoid"),
    )
    decide = lambda module: evaluating(module).decide(inputs("experts", 5)).mask
    before, after = decide(free), decide(limited)
    taken = jnp.cumsum(before > 0, 1) <= 6
    np.testing.assert_array_equal(after, before * taken)
    assert (after < before).any()


def test_experts_that_choose_have_the_same_load():
    module, x = build("expert_choice", "soft_topk"), inputs("expert_choice", 5)
    _, (mask,) = run(evaluating(module), x)
    assert mask.shape == (5, 4, TOKENS)
    assert len(np.unique(np.sum(mask, -1))) == 1
    assert len(np.unique(np.sum(mask, 1))) > 1  # of the tokens


def test_experts_do_not_choose_among_closed_tokens():
    module, x = build("expert_choice", "soft_topk"), inputs("expert_choice", 5)
    with pytest.raises(ValueError, match="inside of gated tokens use GatedExperts"):
        module(x, jnp.ones((5, TOKENS)))


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


def at_positions(host):
    parts = build("positions", "soft_topk")
    place = dict(scorer=parts.scorer, gate=parts.gate, tile=2, halo=0, grid=(2, 2))
    return layers.GatedPositions(host=host, **place)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layers.ConvPair(
                first=nnx.Conv(2, 2, (3, 3), rngs=nnx.Rngs(0)),
                norm=nnx.LayerNorm(2, rngs=nnx.Rngs(0)),
                second=nnx.Conv(2, 2, (3, 3), rngs=nnx.Rngs(0)),
            ),
            "a BatchNorm or no norm between its convolutions, got LayerNorm",
        ),
        (
            lambda: at_positions(nnx.GroupNorm(4, 2, rngs=nnx.Rngs(0))),
            "GroupNorm at .* looks at other positions",
        ),
        (
            lambda: at_positions(build("channels", "soft_topk")),
            "GatedChannels at .* decides too",
        ),
        (
            lambda: at_positions(build("neurons", "soft_topk")),
            "GatedNeurons at .* decides too",
        ),
    ],
)
def test_norms_over_what_may_be_skipped_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "density"), [("heads", 0.5), ("neurons", 0.5), ("neurons", 0.0)]
)
def test_layers_inside_of_gated_tokens_decide_the_same(layer, density):
    module, x = build("tokens", "soft_topk"), inputs("tokens", 32)
    module.host = Inner(layer)
    views = [
        evaluating(module, execution=execution, density=density)
        for execution in ("masked", "compact")
    ]
    (masked, decisions), (compact, same) = (run(view, x) for view in views)
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    for one, other in zip(decisions, same, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mask", [1e-25, 0.0])
def test_heads_read_tokens_that_are_hardly_open(mask):
    heads, x = build("heads", "soft_topk"), inputs("heads", 2)
    loss = lambda mask: jnp.sin(heads.reads(x, mask)).sum()
    slope = jax.grad(loss)(jnp.full(x.shape[:2], mask).at[:, 0].set(0.0))
    np.testing.assert_allclose(slope, x.sum(-1), rtol=1e-5)  # nothing is shared


def test_random_layers_that_nothing_reaches_draw_nothing():
    module, x = build("tokens", "soft_topk"), inputs("tokens", 2)
    module.host = Inner("heads", "random_topk")
    view = evaluating(module, execution="compact", density=0.0)
    _, masks = run(view, x)
    assert sorted(mask.shape for mask in masks) == [(2, 4), (2, TOKENS)]
    assert not any(mask.any() for mask in masks)


@pytest.mark.parametrize("layer", ["dropped", "expert_choice"])
@pytest.mark.parametrize("execution", ["masked", "compact"])
def test_what_counts_tokens_is_refused_inside_of_gated_ones(layer, execution):
    module, x = build("tokens", "soft_topk"), inputs("tokens", 2)
    module.host = Inner(layer, "soft_topk")
    view = evaluating(module, execution=execution, density=0.5)
    with pytest.raises(ValueError, match="decides about all tokens of an example"):
        jax.eval_shape(view, x)


def test_decisions_of_one_thread_are_no_others():
    found = []
    with branches.ledger():
        other = threading.Thread(target=lambda: found.append(branches.open_ledger()))
        other.start()
        other.join()
        assert branches.open_ledger() == []
    assert found == [None]


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


def test_shorter_sequences_open_their_share():
    module, x = build("tokens", "soft_topk"), inputs("tokens", 3)[:, :8]
    view = evaluating(module, density=0.5)
    masked, (mask,) = run(view, x)
    np.testing.assert_array_equal(np.sum(mask, -1), 4)
    compact, _ = run(evaluating(view, execution="compact"), x)
    np.testing.assert_allclose(compact, masked, atol=1e-5)


@pytest.mark.parametrize("layer", ["tokens", "blocks", "positions", "neurons"])
def test_fewer_capacities_are_fewer_branches(layer):
    module, x = build(layer, "gumbel_sigmoid"), inputs(layer, 16)

    def branches(steps):
        view = evaluating(module, execution="compact", capacity_steps=steps)
        graphdef, state = nnx.split(view)
        run = lambda state, x: output(nnx.merge(graphdef, state)(x))
        text = str(jax.make_jaxpr(run)(state, x))
        work = text.count("dot_general") + text.count("conv_general")
        return text.count("cond["), work

    few, many = branches(1), branches(8)
    assert few[0] == many[0] > 0
    assert few[1] < many[1]
