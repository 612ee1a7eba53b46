"""Properties that every gate must have. A new gate adds one row to GATES."""

import dataclasses
import functools
import itertools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from dynsparse import gates, ops
from dynsparse.gates import GateOutput

N = 16
WEIGHTS = jnp.linspace(0.0, 1.0, N)  # a plain sum can be constant, e.g. always k


@dataclasses.dataclass(frozen=True)
class Row:
    """What holds for a gate.

    Attributes:
        spec: Its config.
        learns: Whether the scores receive a gradient through the mask, from the losses
            of several passes, or not at all.
        open_prob: What it is in training: the probability that the mask is above
            `opens_above`; a relaxed mask of the same sum; or the mask itself.
        unbiased: Losses of which its gradient is the expected loss's: those linear in
            the mask, all, or none.
        random: Whether it stays random in evaluation.
        soft: Whether masks are soft in evaluation, between exact zeros and ones.
        opens_above: Mask from which a unit counts as open.
    """

    spec: dict
    learns: Literal["mask", "losses"] | None = "mask"
    open_prob: Literal["probability", "relaxed", "mask"] = "probability"
    unbiased: Literal["linear", "all"] | None = None
    random: bool = False
    soft: bool = False
    opens_above: float = 0.5


def topk(name, **keys):
    return dict(name=name, density=0.25, **keys)


GATES = [
    Row(dict(name="bernoulli_straight_through"), unbiased="linear"),
    Row(dict(name="binary_concrete", temperature=0.5)),
    Row(topk("capped_entmax", temperature=2.0, alpha=1.5), open_prob="relaxed"),
    Row(dict(name="dense"), learns=None),
    Row(topk("dftopk", temperature=0.5), open_prob="mask"),
    Row(dict(name="disarm"), learns="losses", unbiased="all"),
    Row(
        dict(name="ema_threshold", density=0.25, temperature=0.5, decay=0.9),
        open_prob="relaxed",
    ),
    Row(dict(name="gumbel_sigmoid", temperature=2 / 3)),
    Row(dict(name="gumbel_softmax", temperature=1.0)),
    Row(topk("gumbel_topk", temperature=0.5), open_prob="mask"),
    Row(
        dict(name="hard_concrete", temperature=2 / 3, low=-0.1, high=1.1),
        soft=True,
        opens_above=0.0,
    ),
    Row(topk("hard_topk"), learns=None, open_prob="mask"),
    Row(topk("imle", step=2.0), open_prob="mask"),
    Row(
        dict(name="learned_threshold", temperature=0.5, threshold=0.2),
        open_prob="mask",
    ),
    Row(topk("neural_sort", temperature=10.0), open_prob="mask"),
    Row(topk("perturbed_topk", sigma=0.5, num_samples=50), open_prob="mask"),
    Row(dict(name="random_bernoulli", density=0.25), learns=None, random=True),
    Row(topk("random_topk"), learns=None, random=True),
    Row(dict(name="reinforce", samples=3), learns="losses", unbiased="all"),
    Row(dict(name="reinmax", temperature=1.0), unbiased="linear"),
    Row(topk("relaxed_subset", temperature=0.5), open_prob="mask"),
    Row(dict(name="relu_routing"), open_prob="mask", soft=True, opens_above=0.0),
    Row(dict(name="semantic_hash")),
    Row(dict(name="sigmoid_straight_through", temperature=1.0), open_prob="mask"),
    Row(topk("simple", temperature=0.7), unbiased="linear"),
    Row(
        dict(name="smooth_step", width=4.0),
        open_prob="mask",
        soft=True,
        opens_above=0.0,
    ),
    Row(topk("soft_sort", temperature=0.5), open_prob="mask"),
    Row(topk("soft_topk", temperature=0.5, family="logistic"), open_prob="relaxed"),
    Row(dict(name="sparsemax", temperature=4.0), open_prob="mask"),
    Row(topk("systematic_topk", temperature=0.5, family="laplace"), unbiased="linear"),
]
LEARNING = [row for row in GATES if row.learns]
FIXED = [
    row for row in GATES if issubclass(gates.find(row.spec["name"]), gates.TopkGate)
]

by_name = lambda row: row.spec["name"]
ROWS = {by_name(row): row for row in GATES}
every_gate = pytest.mark.parametrize("row", GATES, ids=by_name)
learning_gates = pytest.mark.parametrize("row", LEARNING, ids=by_name)
fixed_gates = pytest.mark.parametrize("row", FIXED, ids=by_name)


def build(row, **changes):
    return gates.from_config({**row.spec, **changes}, rngs=nnx.Rngs(0, gate=1))


def deterministic(gate, **view):
    return nnx.view(gate, deterministic=True, **view)


@functools.cache
def compiled(name, *, evaluation=False):
    """The gate of a row; the same noise at every call."""
    gate = build(ROWS[name])
    graphdef, state = nnx.split(deterministic(gate) if evaluation else gate)
    call = jax.jit(lambda state, scores: nnx.merge(graphdef, state)(scores))
    return functools.partial(call, state)


@functools.cache
def slopes(name):
    """Gradients by one row of scores of `WEIGHTS @ mask` and `WEIGHTS @ open_prob`."""
    decide = compiled(name)  # built here: not inside of a trace that it would outlive
    by = lambda part: jax.grad(lambda s: WEIGHTS @ getattr(decide(s), part))
    return jax.jit(
        lambda scores: GateOutput(by("mask")(scores), by("open_prob")(scores))
    )


def random_rows(key):
    return 2 * jax.random.normal(key, (64, N))


def test_every_gate_is_listed():
    assert {by_name(row) for row in GATES} == set(gates.available())


@every_gate
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_output_keeps_shape_dtype_and_range(row, dtype, key):
    decide, scores = compiled(by_name(row)), jax.random.normal(key, (4096, N), dtype)
    shaped = jax.eval_shape(decide, scores.reshape(2, 2048, N))
    assert shaped.mask.shape == shaped.open_prob.shape == (2, 2048, N)
    for value in decide(scores):
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
    loss = lambda scores: WEIGHTS @ compiled(by_name(row))(scores).open_prob
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
    gradient = slopes(by_name(row))(scores)
    for evaluation in (False, True):
        decision = compiled(by_name(row), evaluation=evaluation)(scores)
        assert decision.mask[0] == pytest.approx(1, abs=1e-6)
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


def estimates(gate, scores, loss):
    """Gradients of `loss` of the mask by `scores`, [draws, n], one per draw."""

    def objective(scores):
        views = [nnx.view(nnx.clone(gate), sample=s) for s in range(gate.samples)]
        outputs = [view(scores) for view in views]
        record = jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
        losses = loss(record.mask)
        surrogate = gate.surrogate(record, losses)
        return losses.mean(0).sum() + (
            0 if surrogate is None else surrogate * len(scores)
        )

    return np.asarray(jax.jit(jax.grad(objective))(scores), np.float64)


def assert_mean_is(draws, expected):
    error = draws.std(0) / len(draws) ** 0.5
    assert (np.abs(draws.mean(0) - expected) < 4 * error + 1e-6).all()


UNBIASED = [r for r in GATES if r.unbiased]


@pytest.mark.parametrize("row", UNBIASED, ids=by_name)
def test_gradient_of_a_linear_loss_is_unbiased(row, key):
    gate, weights = build(row), jnp.linspace(-1.0, 2.0, 4)
    scores = jax.random.normal(key, (4,))
    expected = lambda s: weights @ compiled(by_name(row))(s).open_prob
    exact = jax.grad(expected)(scores)
    rows = jnp.broadcast_to(scores, (50_000, 4))
    assert_mean_is(estimates(gate, rows, lambda mask: mask @ weights), exact)
    assert np.abs(exact).max() > 0.1


@pytest.mark.parametrize(
    "row", [r for r in UNBIASED if r.unbiased == "all"], ids=by_name
)
def test_gradient_of_any_loss_is_unbiased(row, key):
    weights = jax.random.normal(key, (3, 5))
    loss = lambda mask: jnp.sin(2 * mask @ weights).sum(-1)
    masks = jnp.array(list(itertools.product([0.0, 1.0], repeat=3)))

    def expected_loss(scores):
        prob = jax.nn.sigmoid(scores)[None]
        return jnp.prod(jnp.where(masks > 0, prob, 1 - prob), -1) @ loss(masks)

    scores = jnp.array([0.5, -1.0, 0.2])
    draws = estimates(build(row), jnp.broadcast_to(scores, (100_000, 3)), loss)
    assert_mean_is(draws, jax.grad(expected_loss)(scores))


def test_straight_through_is_biased_on_that_loss(key):
    """The tests above can fail: what does not declare itself unbiased, fails them."""
    row = Row(dict(name="bernoulli_straight_through"))
    with pytest.raises(AssertionError):
        test_gradient_of_any_loss_is_unbiased(row, key)


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
    scores, frozen = jax.random.normal(key, (N,)), deterministic(build(row))
    decide = nnx.jit(lambda gate, scores: gate(scores).mask)
    first = decide(frozen, scores)
    for _ in range(5):
        np.testing.assert_array_equal(decide(frozen, scores), first)


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
def test_annealing_never_retraces(row, key):
    gate, traces = build(row), 0

    @nnx.jit
    def apply(gate, scores):
        nonlocal traces
        traces += 1
        return gate(scores).mask

    for value in (1.0, 0.5, 0.25):
        for name in ("temperature", "density"):
            if isinstance(getattr(gate, name, None), nnx.Variable):
                getattr(gate, name)[...] = jnp.float32(value)
        apply(gate, jax.random.normal(key, (N,)))
    assert traces == 1


@fixed_gates
def test_density_variable_and_static_density_open_the_same(row, key):
    scores = jax.random.normal(key, (8, 49))
    gate = build(row)
    for density in (0.0, 0.1, 0.25, 0.35, 0.5, 0.7, 1.0):
        gate.density[...] = jnp.float32(density)
        static = deterministic(gate, density=density)
        expected = nnx.clone(deterministic(gate))(scores).mask
        np.testing.assert_array_equal(nnx.clone(static)(scores).mask, expected)
        assert static.static_count(49) == expected[0].sum()


@fixed_gates
@pytest.mark.parametrize("density", [-0.1, 1.5])
def test_density_out_of_range_is_named(row, density):
    with pytest.raises(
        ValueError, match=rf"density must be in \[0, 1\], got {density}"
    ):
        build(row, density=density)
    with pytest.raises(ValueError, match=rf"got {density}"):
        nnx.view(build(row), density=density)


@pytest.mark.parametrize(
    "row", [r for r in GATES if "temperature" in r.spec], ids=by_name
)
def test_temperature_must_be_positive(row):
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        build(row, temperature=0.0)


@every_gate
def test_unknown_and_missing_keys_are_named(row):
    with pytest.raises(ValueError, match="has no key 'depth'; accepted"):
        build(row, depth=3)
    for key_name in set(row.spec) - {"name"}:
        spec = {k: v for k, v in row.spec.items() if k != key_name}
        with pytest.raises(ValueError, match=f"needs the key '{key_name}'"):
            gates.from_config(spec, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("soft_topkk", "unknown name 'soft_topkk'; accepted: bernoulli.*, dense, "),
        ("base", "unknown name 'base'"),
        ("no_such_package:Gate", "cannot load 'no_such_package:Gate'"),
        ("dynsparse.gates.dense:Nothing", "cannot load"),
    ],
)
def test_unknown_gate_is_named_with_what_is_accepted(name, message):
    with pytest.raises(ValueError, match=message):
        gates.from_config(dict(name=name), rngs=nnx.Rngs(0))


class Everything(gates.Gate):
    count = "full"

    def __init__(self, *, rngs: nnx.Rngs):
        del rngs

    def __call__(self, scores):
        return gates.GateOutput(jnp.ones_like(scores), jnp.ones_like(scores))


def test_a_gate_from_outside_the_library_plugs_in_by_name():
    name = f"{Everything.__module__}:Everything"
    gate = gates.from_config(dict(name=name), rngs=nnx.Rngs(0))
    assert isinstance(gate, Everything)


def test_configs_of_ml_collections_are_taken():
    spec = topk("soft_topk", temperature=0.5, family="logistic")
    gate = gates.from_config(ConfigDict(spec).lock(), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(gate.density[...], 0.25)


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


@pytest.mark.parametrize("family", ops.FAMILIES)
def test_every_family_gives_a_gate(family, key):
    spec = topk("soft_topk", temperature=2.0, family=family)
    scores = jax.random.normal(key, (8, N))
    gradient = jax.jit(jax.grad(lambda s: (build(Row(spec))(s).mask @ WEIGHTS).sum()))
    assert jnp.count_nonzero(gradient(scores)) > 8


OUT_OF_RANGE = [
    ("reinforce", dict(samples=1), "samples must be at least 2, got 1"),
    ("smooth_step", dict(width=0.0), "width must be positive, got 0.0"),
    ("imle", dict(step=-1.0), "step must be positive, got -1.0"),
    ("hard_concrete", dict(low=0.1), "needs low < 0 and high > 1, got 0.1 and 1.1"),
    ("perturbed_topk", dict(sigma=0.0), "got sigma=0.0"),
    ("capped_entmax", dict(alpha=1.0), r"p in \(1, 2\], got 1.0"),
    ("soft_topk", dict(family="tanh"), "unknown family 'tanh'; accepted: logistic"),
    ("ema_threshold", dict(density=1.0), r"density must be in \(0, 1\), got 1.0"),
    ("ema_threshold", dict(decay=1.0), r"decay must be in \[0, 1\), got 1.0"),
]


@pytest.mark.parametrize(("name", "changes", "message"), OUT_OF_RANGE)
def test_values_out_of_range_are_named(name, changes, message):
    row = next(row for row in GATES if by_name(row) == name)
    with pytest.raises(ValueError, match=message):
        build(row, **changes)


def test_gumbel_noise_has_its_tails_in_bfloat16():
    gate = build(Row(dict(name="gumbel_sigmoid", temperature=1.0), True))
    logit, draws = -6.0, 400_000
    opened = gate(jnp.full((draws,), logit, jnp.bfloat16)).mask
    expected = jax.nn.sigmoid(logit)  # 0.0025; bfloat16 noise gives three times that
    error = abs(opened.mean(dtype=jnp.float32) - expected)
    assert error < 4 * (expected / draws) ** 0.5
