"""One budget for all gates, divided between the layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import costs, gates, ops, training
from dynsparse.budgets import (
    BudgetShares,
    densities_at,
    density_map,
    fix_densities,
    set_density,
)
from dynsparse.gates import GateRecord, evaluating, records
from tests.layers.small_layers import build
from tests.training import tiny

COSTS = dict(a=1.0, b=4.0, c=2.0)
TINY = dict(model__granularity="neurons", model__depth=2)


def shares(*preferences):
    module = BudgetShares(costs=COSTS, temperature=0.7)
    module.preferences[...] = jnp.array(preferences or (0.0, 0.0, 0.0))
    return module


@pytest.mark.parametrize("preferences", [(0.0, 0.0, 0.0), (2.0, -1.0, 0.3)])
@pytest.mark.parametrize("density", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_every_density_spends_what_it_says(preferences, density):
    spent = sum(COSTS[k] * d for k, d in shares(*preferences)(density).items())
    np.testing.assert_allclose(spent, density * sum(COSTS.values()), atol=1e-5)


def test_raising_the_density_lowers_that_of_no_layer():
    levels = np.linspace(0, 1, 50)
    densities_of = jax.jit(lambda density: shares(2.0, -1.0, 0.3)(density))
    rows = np.array([list(densities_of(x).values()) for x in np.float32(levels)])
    assert (np.diff(rows, axis=0) >= -1e-6).all()


@pytest.fixture(scope="module")
def run():
    """A tiny mixer with two gated layers, and two steps of it."""
    changes = TINY | dict(budget__sampling__low=0.5, budget__sampling__draws=0)
    changes["scorer__hidden"] = 8
    experiment = training.prepare(tiny.config("soft_topk,mixer,shared", **changes))
    state = experiment.initial_state
    step = jax.jit(experiment.trainer.step)
    second, _ = step(state, experiment.batches[0])  # the rate warms up from 0
    return experiment, state, *step(second, experiment.batches[1])


def parted(run):
    """The model of `run`, whose layers got different shares."""
    experiment, state, *_ = run
    model = nnx.clone(experiment.trainer.model(state))
    model.budget_shares.preferences[...] = jnp.array([1.0, -1.0])
    return experiment, model


def capture(view, images):
    graphdef, arrays = nnx.split(view)
    call = lambda arrays, x: nnx.capture(nnx.merge(graphdef, arrays), GateRecord)(x)
    return jax.jit(call)(arrays, images)


def test_masked_and_compact_execution_open_what_the_shares_say(run):
    experiment, model = parted(run)
    images = experiment.task.inputs(experiment.batches[0])
    masked = evaluating(model)
    set_density(masked, jnp.float32(0.5))
    asked = densities_at(model, 0.5)
    compact = fix_densities(evaluating(model, execution="compact"), asked)
    assert len(set(asked.values())) == 2
    (expected, captured), (answer, again) = (
        capture(view, images) for view in (masked, compact)
    )
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    for name, decision in records(captured).items():
        n = decision.mask.shape[-1]
        assert (decision.mask.sum(-1) == ops.num_open(asked[name], n)).all()
        np.testing.assert_array_equal(decision.mask, records(again)[name].mask)


def test_layers_inside_of_others_keep_their_own_density():
    class Inner(nnx.Module):
        def __init__(self):
            self.neurons = build("neurons", "soft_topk")

    outer = build("tokens", "soft_topk")
    outer.host = Inner()
    asked = {"host/neurons": 0.25, "": 0.75}
    view = fix_densities(outer, asked)
    assert view.gate.static_density == 0.75
    assert view.host.neurons.gate.static_density == 0.25


def test_a_budget_buys_the_largest_level_that_it_pays_for(run):
    experiment, model = parted(run)
    prices, spread = experiment.prices, density_map(model)
    spent = lambda density: prices.used(
        {
            name: np.array(
                [
                    part.num_rows
                    * ops.num_open(
                        spread(density)[name], part.num_units // part.num_rows
                    )
                ]
            )
            for name, part in prices.parts.items()
        }
    )[0]
    density = costs.largest_density(prices, 0.6, spread)
    assert spent(density) <= 0.6 * prices.dense
    more = next(x for x in np.arange(density, 1, 1e-3) if spent(x) > spent(density))
    assert spent(more) > 0.6 * prices.dense


def test_the_shares_learn_and_their_prices_are_the_gradient(run):
    experiment, before, after, metrics = run
    old, new = (s["params"]["budget_shares"]["preferences"] for s in (before, after))
    assert (old != new).all()
    for name in experiment.prices.parts:
        assert np.isfinite(metrics[f"shadow_price/{name}"])
        assert metrics[f"shadow_price/{name}"] != 0


def test_the_gradient_by_the_density_is_that_of_the_soft_mask():
    """Of a loss that is linear in the mask, where the straight-through one is exact."""
    gate = gates.from_config(
        dict(name="soft_topk", density=0.5, temperature=0.8, family="logistic"),
        rngs=nnx.Rngs(0),
    )
    scores, weights = jax.random.normal(jax.random.key(0), (2, 10))

    graphdef, arrays = nnx.split(gate)
    arrays = nnx.to_pure_dict(arrays)

    def loss(density):
        gate = nnx.merge(graphdef, arrays)
        gate.density[...] = density
        return (weights * gate(scores).mask).sum()

    soft = jax.jit(lambda k: (weights * ops.soft_topk_mask(scores, k, 0.8)).sum())
    slope = (soft(5.02) - soft(4.98)) / 0.04 * 10
    found = jax.jit(jax.grad(loss))(jnp.float32(0.5))
    np.testing.assert_allclose(found, slope, rtol=2e-2)


@pytest.mark.parametrize("method", ["hard_topk", "dense"])
def test_gates_whose_masks_teach_no_density_share_none(method):
    gate = gates.find(method).__name__
    with pytest.raises(ValueError, match=f"masks of {gate} have no gradient by their"):
        training.prepare(tiny.config(f"{method},mixer,shared", **TINY))


def test_the_temperature_is_positive():
    with pytest.raises(ValueError, match="shared: temperature must be > 0, got 0.0"):
        training.prepare(tiny.config("soft_topk,mixer,shared", budget__temperature=0.0))
