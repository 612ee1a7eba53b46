"""Experts that a host has already are gated where they stand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs, layers
from dynsparse.layers.trace.units.experts import ExpertsOfCall
from dynsparse.layers.units.gated_units import units_of
from tests.layers.zoo import experts as zoo_experts
from tests.layers.zoo import foreign
from tests.layers.zoo.experts import CHOSEN, EXPERTS, WIDTH

X = jax.random.normal(jax.random.key(0), (2, 3, WIDTH))
TOPK = dict(name="hard_topk", density=1.0)
SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
RULE = dict(granularity="experts", gate=TOPK)
RARE = pytest.mark.full
HOSTS = [
    "RoutedMoE",
    "SparseMoeBlock",
    pytest.param("MoELayer", marks=RARE),
    pytest.param("WeighedInside", marks=RARE),
    pytest.param("GptOssMLP", marks=RARE),
    pytest.param("VmappedExperts", marks=RARE),
]


@pytest.fixture(autouse=True)
def as_public_models_run():
    """Settings of JAX that others write their models for."""
    with jax.numpy_rank_promotion("allow"):
        yield


class Net(nnx.Module):
    """A model whose part may give more than its features."""

    def __init__(self, part):
        self.part = part

    def __call__(self, x):
        y = self.part(x)
        return y[0] if isinstance(y, tuple) else y


@functools.cache
def routed(name):
    return sparse(name)


def sparse(name, **options):
    model = Net(getattr(zoo_experts, name)(nnx.Rngs(0)))
    plain = nnx.clone(model)
    rules = {"part": RULE | options}
    return plain, dynsparse.sparsify(model, rules, X, rngs=nnx.Rngs(1, gate=2))


@functools.partial(jax.jit, static_argnums=0)
def decided(graphdef, state):
    y, captured = nnx.capture(nnx.merge(graphdef, state), dynsparse.GateRecord)(X)
    return y, dynsparse.records(captured)["part"].mask


def masks(model):
    return decided(*nnx.split(model))[1]


@functools.partial(jax.jit, static_argnums=0)
def merged(graphdef, state):
    return nnx.merge(graphdef, state)(X)


def run(model):
    """Compiled: one program is cheaper than its many operations."""
    return merged(*nnx.split(model))


@pytest.mark.parametrize("name", HOSTS)
def test_all_that_the_router_uses_is_the_host_and_no_more_is_run(name):
    plain, model = routed(name)
    used = EXPERTS if name == "VmappedExperts" else CHOSEN
    assert (masks(dynsparse.evaluating(model)).sum(-1) == used).all()
    for execution in ("masked", "compact"):
        view = dynsparse.evaluating(model, execution=execution, density=1.0)
        np.testing.assert_allclose(run(view), run(plain), atol=1e-5)
    bill = costs.bill(model, X)
    assert bill.dense == costs.count_macs(plain, X[:1])
    assert bill.layers["part"].used.mean() * EXPERTS == bill.layers["part"].dense * used


@pytest.mark.parametrize("name", HOSTS)
def test_with_a_mask_of_ones_each_operation_is_the_hosts(name):
    plain, model = routed(name)
    found = units_of(dynsparse.evaluating(model).part, (X,), {})
    with jax.disable_jit():
        opened = found.weighed(jnp.ones((6, EXPERTS)))
        expected = plain.part(X)
    for one, other in zip(
        jax.tree.leaves(opened), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_a_router_that_is_read_wrongly_is_caught(monkeypatch):
    own = ExpertsOfCall.routed
    monkeypatch.setattr(ExpertsOfCall, "routed", lambda self: own(self)[:, ::-1])
    with pytest.raises(ValueError, match="without the experts that its router weighs"):
        sparse("RoutedMoE")


def test_the_router_of_the_host_is_the_scorer():
    plain, model = sparse("RoutedMoE", gate=dict(TOPK, density=0.5))
    mask = masks(dynsparse.evaluating(model))
    best = plain.part.gate(X).argmax(-1)  # half of the two that it uses
    np.testing.assert_array_equal(mask, jax.nn.one_hot(best, EXPERTS))


def test_a_new_scorer_chooses_among_the_experts_that_the_router_uses():
    _, model = sparse("RoutedMoE", gate=SOFT, scorer=dict(name="linear"))
    _, whole = routed("RoutedMoE")
    opened = masks(dynsparse.evaluating(model)) > 0
    assert (opened <= (masks(dynsparse.evaluating(whole)) > 0)).all()
    assert (opened.sum(-1) == 1).all()
    compact = dynsparse.evaluating(model, execution="compact", density=0.5)
    masked = run(dynsparse.evaluating(model))
    np.testing.assert_allclose(run(compact), masked, atol=1e-5)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    loss = lambda p: jnp.square(nnx.merge(graphdef, p, rest, copy=True)(X)).sum()
    slopes = jax.jit(jax.grad(loss))(params)["part"]
    for slope in (slopes["scorer"]["score"], slopes["host"]["gate"]):
        assert jnp.any(slope["kernel"][...])


AROUND = dict(
    blocks=dict(gate=dict(name="gumbel_sigmoid", temperature=1.0)),
    bypass=dict(gate=SOFT),
    neurons=dict(gate=SOFT, num_blocks=4),
    width=dict(gate=SOFT, num_slices=4),
)
OTHERS = [
    ("RoutedMoE", "blocks"),
    ("SparseMoeBlock", "width"),
    *(
        pytest.param(*pair, marks=RARE)
        for pair in [
            ("RoutedMoE", "neurons"),
            ("RoutedMoE", "width"),
            ("WeighedInside", "blocks"),
            ("WeighedInside", "neurons"),
            ("MoELayer", "bypass"),
            ("GptOssMLP", "neurons"),
            ("MoELayer", "blocks"),
            ("MoELayer", "neurons"),
            ("SparseMoeBlock", "blocks"),
            ("SparseMoeBlock", "bypass"),
            ("VmappedExperts", "blocks"),
            ("VmappedExperts", "bypass"),
            ("VmappedExperts", "neurons"),
        ]
    ),
]


@pytest.mark.parametrize(("name", "kind"), OTHERS)
def test_other_granularities_gate_such_hosts_as_any(name, kind):
    scorer = {} if kind == "width" else dict(scorer=dict(name="linear"))
    _, model = sparse(name, granularity=kind, **AROUND[kind], **scorer)
    density = {} if kind == "blocks" else dict(density=0.5)
    compact = dynsparse.evaluating(model, execution="compact", **density)
    masked = run(dynsparse.evaluating(model))
    np.testing.assert_allclose(run(compact), masked, atol=1e-5)


REFUSED = dict(
    joined=(
        "GptOssMLP",
        dict(granularity="blocks", scorer=dict(name="linear"), **AROUND["blocks"]),
        "an array of shape .6, 4. joins the examples with another axis",
    ),
    written=(
        "RoutedMoE",
        dict(granularity="bypass", scorer=dict(name="linear")),
        "tokens are mixed by other means .it is read or written at its own places",
    ),
    capacity=("Capacity", {}, "rows of the input do not reach its units .cumsum"),
    ragged=("MoERagged", {}, "ragged_dot_general already runs each token by its own"),
    number=("RoutedMoE", dict(num_experts=3), "num_experts=3, but wo is of 4"),
    units=("RoutedMoE", dict(units="gate"), "'gate' is no stacked parameter"),
    scorer=("RoutedMoE", dict(units="wi_0", scorer=dict(name="none")), "scorer"),
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_are_no_experts_of_a_token_is_refused(name):
    host, options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        sparse(host, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (foreign.perceptron, "no product reads stacked parameters, and no loop"),
        (foreign.attention, "nothing that the host computes of its input weighs them"),
    ],
)
def test_hosts_without_experts_are_refused(part, message):
    x = jnp.ones((2, 3, foreign.WIDTH))
    with pytest.raises(ValueError, match=message):
        dynsparse.sparsify(Net(part()), {"part": RULE}, x, rngs=nnx.Rngs(1, gate=2))


def test_layers_of_the_library_stay_as_they_are():
    experts = layers.Experts(width=4, hidden=6, num_experts=3, rngs=nnx.Rngs(0))
    layer = layers.gated(
        experts, **RULE, scorer=dict(name="linear"), rngs=nnx.Rngs(1, gate=2)
    )
    assert isinstance(layer, layers.GatedExperts)
