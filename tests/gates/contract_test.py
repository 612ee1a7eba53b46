"""Properties that every gate must have."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import gates, ops
from tests.gates.rows import (
    FIXED,
    GATES,
    LEARNING,
    WEIGHTS,
    N,
    Row,
    build,
    by_name,
    compiled,
    decide,
    deterministic,
    every_gate,
    learning,
    learning_gates,
    random_rows,
    slopes,
)
from tests.sampled import sampled, unless

# Gates whose range is tried in bfloat16 by default: one of each kind of arithmetic.
NARROW = ("hard_concrete", "relaxed_subset", "semantic_hash", "simple", "soft_topk")


@every_gate
def test_output_keeps_shape_and_dtype(row):
    scores = jax.ShapeDtypeStruct((2, 3, N), jnp.bfloat16)
    for value in jax.eval_shape(compiled(by_name(row)), scores):
        assert (value.shape, value.dtype) == (scores.shape, scores.dtype)


@pytest.mark.parametrize(
    ("row", "dtype"),
    [
        *((row, jnp.float32) for row in GATES),
        *(
            pytest.param(row, jnp.bfloat16, marks=unless(by_name(row) in NARROW))
            for row in GATES
        ),
    ],
    ids=lambda value: value.spec["name"] if isinstance(value, Row) else None,
)
def test_output_lies_in_range(row, dtype, key):
    scores = jax.random.normal(key, (4096, N), dtype)
    for value in compiled(by_name(row))(scores):
        assert (value.shape, value.dtype) == (scores.shape, dtype)
        assert ((value >= 0) & (value <= 1)).all()


@every_gate
def test_masks_of_closed_units_are_zero_or_can_be_divided_by(row, key):
    scores = jax.random.normal(key, (4096, N)) - 40
    total = compiled(by_name(row))(scores).mask.sum(-1)
    assert ((total == 0) | (total > 1e-13)).all()


@every_gate
def test_evaluation_decides_between_zero_and_one(row, key):
    mask = compiled(by_name(row), evaluation=True)(random_rows(key)).mask
    assert ((mask == 0) | (mask == 1)).mean() > 0.1
    assert row.soft == bool(((mask > 0) & (mask < 1)).any())


@every_gate
def test_declared_count_is_what_opens(row, key):
    gate = build(row)
    mask = compiled(by_name(row), evaluation=True)(random_rows(key)).mask
    opened = (mask > 0).sum(-1)
    if gate.count == "varying":
        assert len(np.unique(opened)) > 3
        assert gate.static_count(N) is None
    else:
        known = dict(dense=N, gumbel_softmax=1)
        expected = known.get(by_name(row), N * row.spec.get("density", 0))
        np.testing.assert_array_equal(opened, expected)


@every_gate
def test_units_compete_or_decide_alone(row, key):
    decide, scores = compiled(by_name(row), evaluation=True), random_rows(key)
    raised = scores.at[:, 0].add(100.0)
    others = decide(scores).mask[:, 1:] == decide(raised).mask[:, 1:]
    causal = by_name(row) == "ema_threshold"  # whose units compete in training alone
    competes = gates.find(by_name(row)).competes
    assert bool(others.all()) == (not competes or row.random or causal)


@pytest.mark.parametrize(
    "row", [r for r in LEARNING if r.open_prob != "mask"], ids=by_name
)
def test_open_prob_gradient_matches_finite_difference(row, key):
    scores = jax.random.normal(key, (N,))
    direction = jnp.cos(jnp.arange(N, dtype=jnp.float32))
    step = 1e-2
    loss = lambda scores: WEIGHTS @ learning(by_name(row))(scores)[0].open_prob
    above, below = loss(scores + step * direction), loss(scores - step * direction)
    analytic = slopes(by_name(row))(scores).open_prob @ direction
    assert abs(analytic) > 1e-3  # two zeros would also agree
    np.testing.assert_allclose(analytic, (above - below) / (2 * step), rtol=1e-2)


@pytest.mark.parametrize(
    "row", [r for r in LEARNING if r.learns == "mask"], ids=by_name
)
def test_scores_receive_gradient_through_the_mask(row, key):
    gradient = slopes(by_name(row))(jax.random.normal(key, (N,))).mask
    assert jnp.isfinite(gradient).all()
    assert jnp.count_nonzero(gradient) > 1


@every_gate
def test_an_infinite_score_is_open_and_spoils_no_other(row, key):
    scores = jax.random.normal(key, (N,)).at[0].set(jnp.inf)
    trained, gradient = learning(by_name(row))(scores)
    many = random_rows(key).at[:, 0].set(jnp.inf)
    evaluated = compiled(by_name(row), evaluation=True)(many)
    for decision in (trained, evaluated):
        np.testing.assert_allclose(decision.mask[..., 0], 1, atol=1e-6)
        assert all(jnp.isfinite(part).all() for part in decision)
    assert all(jnp.isfinite(part).all() for part in gradient)


@learning_gates
def test_a_density_penalty_reaches_the_scores(row, key):
    gradient = slopes(by_name(row))(jax.random.normal(key, (N,))).open_prob
    assert jnp.count_nonzero(gradient) > 1


@pytest.mark.parametrize("row", [r for r in GATES if r.learns != "mask"], ids=by_name)
def test_masks_that_teach_nothing_have_no_gradient(row, key):
    assert not slopes(by_name(row))(jax.random.normal(key, (N,))).mask.any()


@pytest.mark.parametrize("row", [r for r in GATES if not r.learns], ids=by_name)
def test_controls_leave_no_gradient_to_penalties(row, key):
    assert not slopes(by_name(row))(jax.random.normal(key, (N,))).open_prob.any()


@every_gate
def test_open_prob_is_how_often_units_open(row, key):
    scores = 2 * jax.random.normal(key, (N,))
    output = compiled(by_name(row))(jnp.broadcast_to(scores, (4096, N)))
    opened = (output.mask > row.opens_above).astype(jnp.float32)
    if row.open_prob == "mask" and row.opens_above == 0.5:
        opened = output.mask
    expected, mean = output.open_prob.mean(0), opened.mean(0)
    if row.open_prob == "relaxed":  # which shares the boundary
        expected, mean = expected.sum(), mean.sum()
    # Four standard errors of a Bernoulli mean.
    np.testing.assert_allclose(mean, expected, atol=4 * 0.5 / 64)


@pytest.mark.parametrize("row", [r for r in GATES if r.learns == "losses"], ids=by_name)
def test_passes_of_a_step_decide_apart(row, key):
    gate = build(row)
    scores = jax.random.normal(key, (64, N))
    views = [nnx.view(nnx.clone(gate), sample=s) for s in range(gate.samples)]
    masks = [view(scores).mask for view in views]
    assert gate.samples > 1
    for first, second in itertools.combinations(masks, 2):
        assert (first != second).mean() > 0.2


@pytest.mark.parametrize("row", [r for r in GATES if not r.random], ids=by_name)
def test_what_is_decided_without_noise_is_certain(row, key):
    decision = compiled(by_name(row), evaluation=True)(random_rows(key))
    np.testing.assert_array_equal(decision.open_prob > 0, decision.mask > 0)
    assert ((decision.open_prob == 0) | (decision.open_prob == 1) | row.soft).all()


@pytest.mark.parametrize("row", [r for r in GATES if r.random], ids=by_name)
def test_infinite_scores_come_first_and_the_rest_is_drawn(row, key):
    scores = jnp.zeros((4096, N)).at[:, :2].set(jnp.inf)
    decision = compiled(by_name(row))(scores)
    assert decision.mask[:, :2].all()
    # Four standard errors of a Bernoulli mean.
    np.testing.assert_allclose(
        decision.mask.mean(0), decision.open_prob[0], atol=4 * 0.5 / 64
    )


def test_relu_routing_prices_scores_above_one():
    gradient = slopes("relu_routing")(jnp.array([-1.0, 0.5, 3.0] + [0.0] * (N - 3)))
    np.testing.assert_allclose(gradient.open_prob[:3], [0, WEIGHTS[1], WEIGHTS[2]])
    assert gradient.mask[2] == 0


@every_gate
def test_random_gates_say_so(row):
    assert gates.find(by_name(row)).random == row.random


@pytest.mark.parametrize("row", [r for r in GATES if not r.random], ids=by_name)
def test_deterministic_view_ignores_the_noise(row, key):
    scores, gate = random_rows(key), build(row)
    first = compiled(by_name(row), evaluation=True)(scores).mask
    for seed in range(3):
        nnx.reseed(gate, gate=seed)
        again = decide(*nnx.split(deterministic(gate)), scores).mask
        np.testing.assert_array_equal(again, first)


@pytest.mark.parametrize("row", [r for r in GATES if r.random], ids=by_name)
def test_random_controls_differ_by_example_and_replay(row):
    gate = deterministic(build(row))
    scores = jnp.zeros((64, N))
    first = gate(scores).mask
    assert len(np.unique(first, axis=0)) > 32
    assert (gate(scores).mask != first).any()
    nnx.reseed(gate, gate=7)
    again = gate(scores).mask
    nnx.reseed(gate, gate=7)
    np.testing.assert_array_equal(gate(scores).mask, again)


@every_gate
def test_annealing_never_retraces(row):
    gate, traces = build(row), 0

    @functools.partial(jax.jit, static_argnums=0)
    def apply(graphdef, state, scores):
        nonlocal traces
        traces += 1
        return nnx.merge(graphdef, state)(scores).mask

    for value in (1.0, 0.5, 0.25):
        for name in ("temperature", "density"):
            if isinstance(getattr(gate, name, None), nnx.Variable):
                getattr(gate, name)[...] = jnp.float32(value)
        apply.eval_shape(*nnx.split(gate), WEIGHTS)
    assert traces == 1


@pytest.mark.parametrize(
    "row", sampled(FIXED, ("random_topk", "soft_topk"), by_name), ids=by_name
)
def test_density_variable_and_static_density_open_the_same(row, key):
    scores = jax.random.normal(key, (8, 49))
    gate = deterministic(build(row))
    densities = (0.0, 0.1, 0.25, 0.35, 0.5, 0.7, 1.0)
    statics = [nnx.view(gate, density=density) for density in densities]
    decide_each = jax.jit(
        lambda scores: [nnx.clone(static)(scores).mask for static in statics]
    )
    for density, static, mask in zip(
        densities, statics, decide_each(scores), strict=True
    ):
        gate.density[...] = jnp.float32(density)
        expected = decide(*nnx.split(gate), scores).mask
        np.testing.assert_array_equal(mask, expected)
        assert static.static_count(49) == expected[0].sum()


SORTING = ("soft_topk", "dftopk", "neural_sort", "soft_sort", "capped_entmax")


@pytest.mark.parametrize(
    "row", [r for r in FIXED if by_name(r) in SORTING], ids=by_name
)
def test_the_highest_scores_open_in_training_as_well(row, key):
    scores = random_rows(key)
    expected = ops.hard_topk_mask(scores, 4)
    np.testing.assert_array_equal(compiled(by_name(row))(scores).mask, expected)


@pytest.mark.parametrize("row", [r for r in FIXED if not r.random], ids=by_name)
def test_the_highest_scores_open_in_evaluation(row, key):
    scores = random_rows(key)
    expected = ops.hard_topk_mask(scores, 4)
    decision = compiled(by_name(row), evaluation=True)(scores)
    np.testing.assert_array_equal(decision.mask, expected)


def test_gumbel_noise_has_its_tails_in_bfloat16():
    gate = build(Row(dict(name="gumbel_sigmoid", temperature=1.0), True))
    logit, draws = -6.0, 400_000
    opened = gate(jnp.full((draws,), logit, jnp.bfloat16)).mask
    expected = jax.nn.sigmoid(logit)  # 0.0025; bfloat16 noise gives three times that
    error = abs(opened.mean(dtype=jnp.float32) - expected)
    assert error < 4 * (expected / draws) ** 0.5
