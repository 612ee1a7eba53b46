"""Properties that every gate must have. A new gate adds one row to GATES."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from ml_collections import ConfigDict

from dynsparse import gates, ops

N = 16


@dataclasses.dataclass(frozen=True)
class Row:
    """What holds for a gate.

    Attributes:
        spec: Its config.
        learns: Whether the scores receive a gradient through the mask.
        random: Whether it stays random in evaluation.
    """

    spec: dict
    learns: bool
    random: bool = False


GATES = [
    Row(dict(name="dense"), learns=False),
    Row(dict(name="gumbel_sigmoid", temperature=2 / 3), learns=True),
    Row(dict(name="random_topk", density=0.25), learns=False, random=True),
    Row(dict(name="soft_topk", density=0.25, temperature=0.5), learns=True),
]
LEARNING = [row for row in GATES if row.learns]
FIXED = [row for row in GATES if "density" in row.spec]

by_name = lambda row: row.spec["name"]
every_gate = pytest.mark.parametrize("row", GATES, ids=by_name)
learning_gates = pytest.mark.parametrize("row", LEARNING, ids=by_name)
fixed_gates = pytest.mark.parametrize("row", FIXED, ids=by_name)


def build(row, **changes):
    return gates.from_config({**row.spec, **changes}, rngs=nnx.Rngs(0, gate=1))


def deterministic(gate, **view):
    return nnx.view(gate, deterministic=True, **view)


def replay(gate, scores):
    """The same noise at every call."""
    return nnx.clone(gate)(scores)


def test_every_gate_is_listed():
    assert {by_name(row) for row in GATES} == set(gates.available())


@every_gate
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_output_keeps_shape_dtype_and_range(row, dtype, key):
    scores = 3 * jax.random.normal(key, (2, 5, N), dtype)
    for value in build(row)(scores):
        assert (value.shape, value.dtype) == (scores.shape, dtype)
        assert ((value >= 0) & (value <= 1)).all()


@every_gate
def test_evaluation_decides_between_zero_and_one(row, key):
    mask = deterministic(build(row))(jax.random.normal(key, (64, N))).mask
    assert set(np.unique(mask)) <= {0.0, 1.0}


@every_gate
def test_declared_count_is_what_opens(row, key):
    gate = build(row)
    opened = deterministic(gate)(2 * jax.random.normal(key, (64, N))).mask.sum(-1)
    if gate.count == "varying":
        assert len(np.unique(opened)) > 3
    else:
        expected = N if gate.count == "full" else round(row.spec["density"] * N)
        np.testing.assert_array_equal(opened, expected)


@learning_gates
def test_open_prob_gradient_matches_finite_difference(row, key):
    gate, scores = build(row), jax.random.normal(key, (N,))
    weights = jnp.linspace(0.0, 1.0, N)  # a plain sum can be constant, e.g. always k
    direction = jnp.cos(jnp.arange(N, dtype=jnp.float32))
    step = 1e-2
    loss = lambda scores: weights @ replay(gate, scores).open_prob
    above, below = loss(scores + step * direction), loss(scores - step * direction)
    analytic = jax.grad(loss)(scores) @ direction
    assert abs(analytic) > 1e-3  # two zeros would also agree
    np.testing.assert_allclose(analytic, (above - below) / (2 * step), rtol=1e-2)


@learning_gates
def test_scores_receive_gradient_through_the_mask(row, key):
    gate, weights = build(row), jnp.linspace(0.0, 1.0, N)
    loss = lambda scores: weights @ replay(gate, scores).mask
    gradient = jax.grad(loss)(jax.random.normal(key, (N,)))
    assert jnp.isfinite(gradient).all()
    assert jnp.count_nonzero(gradient) > 1


@pytest.mark.parametrize("row", [r for r in GATES if not r.learns], ids=by_name)
def test_controls_give_the_scores_no_gradient(row, key):
    gate = build(row)
    loss = lambda scores: sum(value.sum() for value in replay(gate, scores))
    assert not jax.grad(loss)(jax.random.normal(key, (N,))).any()


@every_gate
def test_open_prob_is_the_mean_mask(row, key):
    gate, scores = build(row), 2 * jax.random.normal(key, (N,))
    output = gate(jnp.broadcast_to(scores, (4096, N)))
    soft = by_name(row) == "soft_topk"  # its relaxation shares the boundary
    expected, mean = output.open_prob.mean(0), output.mask.mean(0)
    if soft:
        expected, mean = expected.sum(), mean.sum()
    # Four standard errors of a Bernoulli mean.
    np.testing.assert_allclose(mean, expected, atol=4 * 0.5 / 64)


@pytest.mark.parametrize("row", [r for r in GATES if not r.random], ids=by_name)
def test_deterministic_view_ignores_the_noise(row, key):
    scores, frozen = jax.random.normal(key, (N,)), deterministic(build(row))
    first = frozen(scores).mask
    for _ in range(5):
        np.testing.assert_array_equal(frozen(scores).mask, first)


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
            if hasattr(gate, name):
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
        expected = replay(deterministic(gate), scores).mask
        np.testing.assert_array_equal(replay(static, scores).mask, expected)
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
        ("soft_topkk", "unknown name 'soft_topkk'; accepted: dense, gumbel_sigmoid"),
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
    config = ConfigDict(dict(name="soft_topk", density=0.25, temperature=0.5)).lock()
    gate = gates.from_config(config, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(gate.density[...], 0.25)


def test_soft_topk_opens_the_highest_scores(key):
    scores = jax.random.normal(key, (8, N))
    gate = build(Row(dict(name="soft_topk", density=0.25, temperature=0.5), True))
    np.testing.assert_array_equal(gate(scores).mask, ops.hard_topk_mask(scores, 4))


def test_gumbel_noise_has_its_tails_in_bfloat16():
    gate = build(Row(dict(name="gumbel_sigmoid", temperature=1.0), True))
    logit, draws = -6.0, 400_000
    opened = gate(jnp.full((draws,), logit, jnp.bfloat16)).mask
    expected = jax.nn.sigmoid(logit)  # 0.0025; bfloat16 noise gives three times that
    error = abs(opened.mean(dtype=jnp.float32) - expected)
    assert error < 4 * (expected / draws) ** 0.5
