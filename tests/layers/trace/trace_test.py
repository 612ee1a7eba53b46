"""Hosts that know nothing of gates are gated where they stand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs
from dynsparse.gates import evaluating
from dynsparse.layers.trace.program.host_call import HostCall
from dynsparse.layers.trace.rows.rows import Rows
from dynsparse.layers.trace.units.find_units import find_units
from dynsparse.layers.trace.units.run_units import UnitsOfCall
from tests.layers.zoo.zoo import ZOO, Net
from tests.sampled import unless

SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
LINEAR = dict(name="linear")
PAIRS = [(name, kind) for name, entry in ZOO.items() for kind in entry.fits]

# Each granularity of one host, another from one to the next.
USUAL = (
    ("adapted", "neurons"),
    ("bottleneck", "channels"),
    ("cross", "bypass"),
    ("llama_cache", "heads"),
    ("mamba", "blocks"),
    ("routed", "experts"),
    ("vgg", "width"),
)
each_pair = pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*pair, marks=unless(pair in USUAL)) for pair in PAIRS],
)


@pytest.fixture(autouse=True)
def as_public_models_run():
    """Settings of JAX that others write their models for."""
    with jax.numpy_rank_promotion("allow"):
        yield


def sparse(name, kind):
    entry = ZOO[name]
    gate = GUMBEL if kind == "blocks" else SOFT
    scorer = {} if kind == "width" else dict(scorer=LINEAR)
    rule = dict(granularity=kind, gate=gate, **scorer, **entry.fits[kind])
    model = Net(entry.make(nnx.Rngs(0)))
    plain = evaluating(nnx.clone(model))
    return plain, dynsparse.sparsify(
        model, {"part": rule}, entry.call, rngs=nnx.Rngs(1, gate=2)
    )


def run(model, call):
    graphdef, state = nnx.split(model)
    return jax.jit(lambda state, call: call(nnx.merge(graphdef, state)))(state, call)


def leaves(tree):
    return [x for x in jax.tree.leaves(tree) if hasattr(x, "dtype")]


@each_pair
def test_masked_equals_compact_and_the_bill_is_the_models(name, kind):
    plain, model = sparse(name, kind)
    call = ZOO[name].call
    density = {} if kind == "blocks" else dict(density=0.5)
    masked = run(evaluating(model), call)
    compact = run(evaluating(model, execution="compact", **density), call)
    whole = run(plain, call)
    gaps = []
    for one, other, before in zip(
        leaves(masked), leaves(compact), leaves(whole), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(before).max())
        gaps.append(np.abs(one - before).max())
    assert max(gaps) > 1e-3  # something was closed
    bill = costs.bill(model, call)
    assert bill.dense == costs.count_macs(plain, call.one_example())
    assert bill.mean < bill.dense + bill.layers["part"].gate.mean()


APART = (
    ("bottleneck", "channels"),
    ("convnext", "neurons"),
    ("dit", "heads"),
    ("llama", "width"),
    ("mamba", "neurons"),
    ("sparse_moe", "neurons"),
)
UNITS = [
    pytest.param(*pair, marks=unless(pair in APART))
    for pair in PAIRS
    if pair[1] not in ("blocks", "bypass", "experts")
]


@pytest.mark.parametrize(("name", "kind"), UNITS)
def test_open_units_are_the_host_bit_for_bit(name, kind):
    entry, sought = ZOO[name], dict(heads="split", channels="channels")
    host = entry.make(nnx.Rngs(0))
    host.eval()
    call = HostCall(host, entry.call.args, entry.call.kwargs)
    reader = entry.fits[kind].get("units")
    units = find_units(call.trace, reader, sought.get(kind, "any"))
    rows = Rows.leading(call.trace.axes, call.trace.stream, 1)
    found = UnitsOfCall(call, units, rows)
    with jax.disable_jit():
        opened = found.weighed(jnp.ones((rows.count, units.num_units)))
        expected = entry.call(host)
    for one, other in zip(leaves(opened), leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)
