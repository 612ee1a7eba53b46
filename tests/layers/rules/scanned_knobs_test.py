"""What is set, trained and served of layers in one scan, as of any other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from dynsparse import budgets, layers
from dynsparse.gates import Temperature, capture, evaluating, find_gates, records
from dynsparse.serving import Ladder
from dynsparse.training.annealing import TemperatureSchedule, anneal
from dynsparse.training.step import reseed
from tests.layers.proof.proof_test import BYPASS, MLP, X, sparse
from tests.layers.rules.scanned_forms_test import LAYERS, NETS, stack
from tests.layers.zoo import foreign

NAMES = [f"part[{i}]" for i in range(LAYERS)]


@functools.cache
def built(kind):
    rule, make = dict(bypass=(BYPASS, foreign.Residual), mlp=(MLP, perceptron))[kind]
    hosts = stack(lambda rngs: make(), LAYERS)(nnx.Rngs(0))
    return nnx.split(sparse(hosts, rule, net=NETS["layers_first"]))


def perceptron():
    return foreign.perceptron(lambda m, x: x + m.down(jax.nn.relu(m.up(x))))


def gated(kind):
    return nnx.merge(*built(kind), copy=True)


def decisions(model):
    _, captured = capture(model)(X)
    return records(captured)


def test_gates_are_found_by_the_names_of_records():
    model = gated("mlp")
    assert list(find_gates(model)) == list(decisions(model)) == NAMES


def test_a_temperature_falls_in_all_layers():
    model, schedule = gated("mlp"), TemperatureSchedule(final=0.1, until=1.0)
    metrics = anneal(model, schedule, jnp.int32(9), 10)
    (temperature,) = jax.tree.leaves(nnx.state(model, Temperature))
    np.testing.assert_allclose(temperature, [0.1] * LAYERS)
    assert metrics["temperature"].shape == ()


def test_a_stream_is_seeded_in_each_layer():
    hosts = stack(lambda rngs: foreign.Residual(), LAYERS)(nnx.Rngs(0))
    model = sparse(hosts, dict(granularity="blocks"), net=NETS["layers_first"])
    reseed(model, jax.random.key(7))
    keys = jax.random.key_data(model.part.gate.noise.key[...])
    assert len(np.unique(keys, axis=0)) == LAYERS


def test_each_layer_gets_its_share_of_a_density():
    model = gated("mlp")
    shares = budgets.BudgetShares(
        costs={n: 1.0 + i for i, n in enumerate(NAMES)}, temperature=1.0
    )
    shares.preferences[...] += jnp.arange(LAYERS)
    model.budget_shares = shares
    budgets.set_density(model, jnp.float32(0.5))
    expected = budgets.densities_at(model, 0.5)
    assert list(expected) == NAMES
    assert model.part.gate.density[...].tolist() == list(expected.values())
    counts = [decisions(model)[name].mask.sum(-1).max() for name in NAMES]
    np.testing.assert_array_equal(counts, np.round(4 * np.array([*expected.values()])))
    with pytest.raises(ValueError, match="they run one program, at one density"):
        budgets.fix_densities(model, expected)
    with pytest.raises(ValueError, match="layers of a scan have densities from"):
        _ = model.part.gate.current_density


def test_twins_of_a_scan_are_those_of_each_layer():
    model = gated("bypass")
    layers.causal_twins(model, [X, X[::-1] + 1], decay=0.5)
    assert len(np.unique(model.part.gate.threshold[...])) == LAYERS
    x, decided = X[::-1] + 1, decisions(evaluating(model))
    assert all(0 < decided[name].mask.mean() < 1 for name in NAMES)
    compact = evaluating(model, execution="compact")
    np.testing.assert_allclose(compact(x), evaluating(model)(x), atol=1e-5)


def test_a_ladder_serves_a_scan():
    model = gated("mlp")
    ladder = Ladder.compile(
        model, examples=X, budgets=[0.5, 1.0], batch_sizes=[len(X)], repeats=1
    )
    assert len(ladder.rungs) == 2


def test_a_step_of_training_moves_every_layer():
    model = gated("mlp")
    before = model.part.scorer.score.kernel[...]

    def loss(model):
        y, captured = capture(model)(X)
        opened = [decision.open_prob.mean() for decision in records(captured).values()]
        return jnp.square(y).mean() + jnp.stack(opened).mean()

    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)
    optimizer.update(model, nnx.grad(loss)(model))
    moved = np.abs(model.part.scorer.score.kernel[...] - before).sum((1, 2))
    assert (moved > 0).all()
