"""The ways in which models run layers that one module stacks; some are refused."""

import jax
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs
from dynsparse.gates import capture, evaluating, records
from tests.layers.proof.proof_test import BLOCKS, X, called, check_refusal, sparse
from tests.layers.zoo import foreign

LAYERS = 3
NESTED = ("part", "part/host/part")
SHARED = dict(share=True)
CARRY = dict(in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)
step = lambda x, layer: layer(x)


def by_default(m, x):
    return nnx.scan(lambda x, layer: (layer(x), None))(x, m.part)[0]


def layers_first(m, x):
    scan = nnx.scan(lambda m, x: m(x), in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
    return scan(m.part, x)


def with_outputs(m, x):
    axes = dict(length=LAYERS, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    return nnx.scan(lambda x, layer: (layer(x), x.mean()), **axes)(x, m.part)[0]


def rematerialised(m, x):
    return nnx.scan(nnx.remat(step), **CARRY)(x, m.part)


def with_split_streams(m, x):
    return nnx.split_rngs(splits=LAYERS)(nnx.scan(step, **CARRY))(x, m.part)


def by_hand(m, x):
    graphdef, state = nnx.split(m.part)

    def one(x, state):
        layer = nnx.merge(graphdef, state)
        return layer(x), nnx.state(layer)

    x, state = jax.lax.scan(one, x, state)
    nnx.update(m.part, state)
    return x


def forgetful(m, x):
    graphdef, state = nnx.split(m.part)
    one = lambda x, state: (nnx.merge(graphdef, state)(x), None)
    return jax.lax.scan(one, x, state)[0]


def in_a_loop(m, x):
    graphdef, state = nnx.split(m.part)
    for i in range(LAYERS):
        x = nnx.merge(graphdef, jax.tree.map(lambda a, i=i: a[i], state))(x)
    return x


def checkpointed(m, x):
    return nnx.scan(jax.checkpoint(step), **CARRY)(x, m.part)


def shared_but_for_weights(m, x):
    axes = nnx.StateAxes({nnx.Param: 0, ...: None})
    return nnx.scan(step, in_axes=(nnx.Carry, axes), out_axes=nnx.Carry)(x, m.part)


def at_once(m, x):
    return nnx.vmap(step, in_axes=(None, 0), out_axes=0)(x, m.part).sum(0)


class Method(nnx.Module):
    """Scans by a method of its own."""

    def __init__(self, part):
        self.part = part

    @nnx.scan(**CARRY)
    def forward(x, layer):
        return layer(x)

    def __call__(self, x):
        return type(self).forward(x, self.part)


FORMS = [by_default, layers_first, with_outputs, rematerialised]
NETS = {form.__name__: called(form) for form in (*FORMS, with_split_streams, by_hand)}
NETS["method"] = Method


@pytest.mark.parametrize("form", NETS)
def test_a_scan_of_this_form_is_gated_layer_by_layer(form):
    plain = evaluating(NETS[form](foreign.stacked()))
    model = sparse(foreign.stacked(), BLOCKS, net=NETS[form])
    expected, _ = run(plain)
    dense, _ = run(evaluating(model, execution="dense"))
    np.testing.assert_array_equal(dense, expected)
    masked, decided = run(evaluating(model))
    compact, same = run(evaluating(model, execution="compact"))
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    assert list(decided) == list(same) == [f"part[{i}]" for i in range(LAYERS)]
    _, noisy = run(model)
    drawn = np.stack([noisy[name].mask for name in decided])
    assert {x.tobytes() for x in drawn} != {drawn[0].tobytes()}  # noise of their own
    assert costs.bill(model, X).dense == LAYERS * X[0].size * foreign.WIDTH


def run(model):
    @jax.jit
    def call(state):
        y, captured = capture(nnx.merge(graphdef, state))(X)
        return y, records(captured)

    graphdef, state = nnx.split(model)
    return call(state)


LOST = "where its decisions would be lost"
REFUSED = dict(
    forgetful=(forgetful, LOST),
    in_a_loop=(in_a_loop, LOST),
    checkpointed=(checkpointed, LOST),
    shared_but_for_weights=(shared_but_for_weights, LOST),
    at_once=(at_once, "vmap, where no layer can be skipped"),
)


@pytest.mark.parametrize("form", REFUSED)
def test_a_scan_of_another_form_is_refused_in_one_line(form):
    call, message = REFUSED[form]
    check_refusal(message, foreign.stacked(), BLOCKS, net=called(call))


def stack(make, number):
    each = nnx.vmap(make, in_axes=0, out_axes=0)
    return lambda rngs: nnx.split_rngs(splits=number)(each)(rngs)


def test_scans_inside_of_scans_are_refused():
    twice = stack(stack(lambda rngs: foreign.Residual(), 2), LAYERS)(nnx.Rngs(0))
    inner = lambda x, layers: nnx.scan(step, **CARRY)(x, layers)
    net = called(lambda m, x: nnx.scan(inner, **CARRY)(x, m.part))
    check_refusal("it is stacked twice", twice, BLOCKS, net=net)


def test_a_block_around_a_scan_of_gated_layers_is_refused():
    scanning = lambda m, x: x + nnx.scan(step, **CARRY)(x, m.part)
    body = foreign.Called(scanning, part=foreign.stacked())
    gate = dict(name="gumbel_sigmoid", temperature=1.0)
    rule = dict(gate=gate, scorer=dict(name="linear"), **BLOCKS)
    with pytest.raises(ValueError, match="it runs part/part, gated as well, in a scan"):
        dynsparse.sparsify(
            foreign.Net(body),
            {"part": rule, "part/part": rule},
            X,
            rngs=nnx.Rngs(1, gate=2),
        )
    assert isinstance(body.part, foreign.Residual)


def test_layers_of_a_scan_share_no_decision():
    net = NETS["layers_first"]
    check_refusal("share need layers", foreign.stacked(), BLOCKS | SHARED, net=net)


def test_both_a_block_and_its_units_are_gated_in_one_scan():
    make = lambda rngs: foreign.Net(foreign.perceptron())
    gate = dict(name="gumbel_sigmoid", temperature=1.0)
    scorer = dict(name="linear")
    rule = dict(granularity="neurons", num_blocks=4, gate=gate, scorer=scorer)
    rules = {"part": dict(gate=gate, scorer=scorer, **BLOCKS), "part/part": rule}
    scanned = dynsparse.sparsify(
        NETS["layers_first"](stack(make, LAYERS)(nnx.Rngs(0))),
        rules,
        X,
        rngs=nnx.Rngs(1, gate=2),
    )
    masked, decided = run(evaluating(scanned))
    compact, same = run(evaluating(scanned, execution="compact"))
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    assert set(decided) == {f"{n}[{i}]" for n in NESTED for i in range(LAYERS)}
    for i in range(LAYERS):  # where a block is closed, so are its units
        outer, inner = (same[f"{name}[{i}]"].mask for name in NESTED)
        expected = decided[f"{NESTED[1]}[{i}]"].mask * outer[:, None]
        np.testing.assert_array_equal(inner, expected)
    bill = costs.bill(scanned, X)
    assert (bill.used <= bill.dense + sum(p.gate for p in bill.layers.values())).all()
