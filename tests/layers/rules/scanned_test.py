"""Layers that one module stacks for `nnx.scan` decide as the same ones unrolled."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs
from dynsparse.gates import capture, evaluating, records
from tests.layers.trace.trace_test import GUMBEL, LINEAR, PAIRS, SOFT
from tests.layers.zoo.zoo import ZOO
from tests.programs_test import compilations

DEPTH = 2
USUAL = [("adapted", "neurons"), ("adapted", "bypass"), ("bottleneck", "blocks")]
NOISY = ("vit", "bypass")  # its dropout changes state, which no bypass takes
REST = [  # of hosts that keep the shape of their input
    pytest.param(*pair, marks=pytest.mark.full)
    for pair in PAIRS
    if pair not in (*USUAL, NOISY) and "blocks" in ZOO[pair[0]].fits
]
each_pair = pytest.mark.parametrize(("name", "kind"), [*USUAL, *REST])


@pytest.fixture(autouse=True)
def as_public_models_run():
    """Settings of JAX that others write their models for."""
    with jax.numpy_rank_promotion("allow"):
        yield


def first(results):
    """The features, of a block that returns more."""
    return results[0] if isinstance(results, tuple) else results


class Scanned(nnx.Module):
    """Layers in one module, each with weights of its own."""

    def __init__(self, make, rngs):
        each = nnx.vmap(make, in_axes=0, out_axes=0)
        self.layers = nnx.split_rngs(splits=DEPTH)(each)(rngs)

    def __call__(self, x, *args, **kwargs):
        step = lambda x, layer: first(layer(x, *args, **kwargs))
        axes = dict(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
        return nnx.scan(step, **axes)(x, self.layers)


class Unrolled(nnx.Module):
    """The same layers, one by one."""

    def __init__(self, stack):
        graphdef, state = nnx.split(stack)
        layer = lambda i: nnx.merge(graphdef, jax.tree.map(lambda x: x[i], state))
        self.layers = nnx.List([layer(i) for i in range(DEPTH)])

    def __call__(self, x, *args, **kwargs):
        for layer in self.layers:
            x = first(layer(x, *args, **kwargs))
        return x


@functools.cache
def models(name, kind):
    """A model before and after, and that with its layers one by one."""
    entry = ZOO[name]
    gate = GUMBEL if kind == "blocks" else SOFT
    scorer = {} if kind == "width" else dict(scorer=LINEAR)
    rule = dict(granularity=kind, gate=gate, **scorer, **entry.fits[kind])
    model = Scanned(entry.make, nnx.Rngs(0))
    plain = nnx.clone(model)
    dynsparse.sparsify(model, {"layers": rule}, entry.call, rngs=nnx.Rngs(1, gate=2))
    return plain, model, Unrolled(model.layers)


@functools.partial(jax.jit, static_argnums=0)
def answer(graphdef, params, rest, call):
    """What a model gives and decides, and the gradient by its parameters."""

    def loss(params):
        model = nnx.merge(graphdef, params, rest, copy=True)
        y, captured = call(capture(model))
        return jnp.square(y).mean(), (y, records(captured))

    return jax.grad(loss, has_aux=True)(params)


def close(trees, expected):
    """Checks that leaves are equal, as numbers of the size of the largest are."""
    pairs = list(zip(*map(jax.tree.leaves, (trees, expected)), strict=True))
    error = 2e-5 * max(np.abs(other).max() for _, other in pairs)
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=0, atol=error)


@each_pair
def test_a_scan_is_its_layers_one_by_one(name, kind):
    _, scanned, unrolled = models(name, kind)
    call = ZOO[name].call
    slopes, (y, decided) = answer(*nnx.split(scanned, nnx.Param, ...), call)
    others, (z, expected) = answer(*nnx.split(unrolled, nnx.Param, ...), call)
    close(y, z)  # in training: layers draw noise of their own
    for i in range(DEPTH):
        close(decided[f"layers[{i}]"], expected[f"layers/{i}"])
        close(jax.tree.map(lambda x, i=i: x[i], slopes["layers"]), others["layers"][i])
    if kind != "width":  # each scorer learns
        slope = slopes["layers"]["scorer"]["score"]["kernel"][...]
        assert (np.abs(slope).sum((1, 2)) > 0).all()


@each_pair
def test_a_bill_has_each_layer_of_a_scan(name, kind):
    plain, scanned, unrolled = models(name, kind)
    call = ZOO[name].call
    bill, expected = costs.bill(scanned, call), costs.bill(unrolled, call)
    assert bill.dense == costs.count_macs(evaluating(plain), call.one_example())
    assert (bill.dense, bill.floor) == (expected.dense, expected.floor)
    np.testing.assert_array_equal(bill.used, expected.used)
    for i in range(DEPTH):
        pair = bill.layers[f"layers[{i}]"], expected.layers[f"layers/{i}"]
        assert str(pair[0]) == str(pair[1])


@each_pair
def test_both_executions_of_a_scan_are_equal(name, kind):
    _, scanned, _ = models(name, kind)
    density = {} if kind == "blocks" else dict(density=0.5)
    views = evaluating(scanned), evaluating(scanned, execution="compact", **density)
    masked, compact = (run(*nnx.split(view), ZOO[name].call) for view in views)
    close(compact, masked)
    masks = [record.mask for record in masked[1].values()]
    assert len(masks) == DEPTH
    assert kind == "blocks" or all((mask == 0).any() for mask in masks)


@functools.partial(jax.jit, static_argnums=0)
def run(graphdef, state, call):
    y, captured = call(capture(nnx.merge(graphdef, state)))
    return y, records(captured)


def test_prices_at_a_density_are_the_bill_of_its_masks():
    _, scanned, _ = models("adapted", "neurons")
    call = ZOO["adapted"].call
    prices = costs.Prices(scanned, call.one_example())
    budgets = {k / 4: costs.budget_of(prices, k / 4) for k in range(4)}
    assert (np.diff(list(budgets.values())) > 0).all()
    half = evaluating(scanned, density=0.5)
    assert costs.bill(half, call).budget == pytest.approx(budgets[0.5])
    curves, floor = prices.layer_cost_curves().values(), prices.floor / prices.dense
    for density, budget in budgets.items():
        of_layers = [np.interp(density, *curve) for curve in curves]
        assert floor + sum(of_layers) == pytest.approx(budget)


def test_a_second_batch_of_the_same_shape_compiles_nothing():
    _, scanned, _ = models("adapted", "neurons")
    call = ZOO["adapted"].call
    other = jax.tree.map(lambda x: x[::-1] + 1, call)
    costs.bill(scanned, call)
    with compilations() as found:
        bill = costs.bill(scanned, other)
    assert not found
    assert bill.used.shape == (3,)
