"""Decisions that reach several layers: shared ones, and exits that fall."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import costs, gates, layers

WIDTH, CLASSES = 8, 3
SOFT = dict(name="soft_topk", density=0.5, temperature=1.0, family="logistic")
GUMBEL = dict(name="gumbel_sigmoid", temperature=1.0)
SURE = dict(name="confidence", threshold=0.6, sharpness=30.0)
EXITS = dict(granularity="exits", gate=GUMBEL, scorer=SURE, head="head")
NETWORK = dict(name="mlp", hidden=4)
SHARED = dict(
    bypass=dict(granularity="bypass", gate=SOFT),
    neurons=dict(granularity="neurons", gate=SOFT, num_blocks=2),
    blocks=dict(granularity="blocks", gate=GUMBEL),
)
IMAGES = jax.random.normal(jax.random.key(0), (12, 4, WIDTH))


class Part(nnx.Module):
    def __init__(self, rngs):
        self.up = nnx.Linear(WIDTH, 16, rngs=rngs)
        self.down = nnx.Linear(16, WIDTH, rngs=rngs)

    def __call__(self, x):
        return x + self.down(jax.nn.gelu(self.up(x)))


class Net(nnx.Module):
    """Calls its parts in an order that is not that of their names."""

    order = (2, 0, 1)

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.head = nnx.Linear(WIDTH, CLASSES, rngs=rngs)
        self.parts = nnx.List([Part(rngs) for _ in range(3)])

    def __call__(self, x):
        for index in self.order:
            x = self.parts[index](x)
        return self.head(x.mean(1))


def sparsified(rule, pattern="parts/*"):
    rule = dict(scorer=NETWORK) | rule
    return layers.sparsify(Net(), {pattern: rule}, IMAGES, rngs=nnx.Rngs(1, gate=2))


def run(model):
    graphdef, state = nnx.split(model)
    call = lambda state: nnx.capture(nnx.merge(graphdef, state), gates.GateRecord)
    output, captured = jax.jit(lambda state, x: call(state)(x))(state, IMAGES)
    masks = {name: r.mask for name, r in gates.records(captured).items()}
    return output, masks


def test_who_leaves_is_answered_by_the_head_on_what_it_had():
    model = gates.evaluating(sparsified(EXITS))
    output, masks = run(model)
    plain, x, alive = Net(), IMAGES, np.ones((len(IMAGES), 1))
    for index in Net.order:
        sure = jax.nn.softmax(plain.head(x.mean(1))).max(-1, keepdims=True) >= 0.6
        alive = alive * ~np.asarray(sure)
        np.testing.assert_array_equal(masks[f"parts/{index}"], alive)
        x = jnp.where(alive[:, :, None] > 0, plain.parts[index](x), x)
    np.testing.assert_allclose(output, plain.head(x.mean(1)), atol=1e-5)
    assert 0 < alive.sum() < len(IMAGES)


def test_exits_are_billed_by_who_is_left():
    model = gates.evaluating(sparsified(EXITS))
    _, masks = run(model)
    ran = sum(np.asarray(mask)[:, 0] for mask in masks.values())
    part, head = 4 * 2 * WIDTH * 16, WIDTH * CLASSES
    bill = costs.bill(model, IMAGES)
    assert bill.dense == 3 * part + head
    np.testing.assert_array_equal(bill.used, ran * part + head + 3 * 4 * head)


@pytest.mark.parametrize("rule", [EXITS, *SHARED.values()], ids=["exits", *SHARED])
def test_both_executions_agree(rule):
    model = sparsified(rule | dict(share=True) if rule is not EXITS else rule)
    masked, masks = run(gates.evaluating(model))
    compact, _ = run(gates.evaluating(model, execution="compact"))
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    assert any((mask == 0).any() for mask in masks.values())


@pytest.mark.parametrize("name", SHARED)
def test_the_first_layer_decides_for_all(name):
    model = sparsified(SHARED[name] | dict(share=True))
    _, masks = run(gates.evaluating(model))
    for mask in masks.values():
        np.testing.assert_array_equal(mask, masks["parts/2"])
    bill = costs.bill(model, IMAGES)
    asked = {name: layer.gate.max() for name, layer in bill.layers.items()}
    assert [name for name, macs in asked.items() if macs] == ["parts/2"]
    scorers = {id(model.parts[i].scorer) for i in range(3)}
    assert len(scorers) == 1


def test_a_token_that_is_dropped_by_a_shared_decision_stays_as_it_came():
    model = gates.evaluating(sparsified(SHARED["bypass"] | dict(share=True)))
    model.head = nnx.Sequential(lambda x: x)
    seen = []
    model.parts[1] = nnx.Sequential(model.parts[1], lambda x: seen.append(x) or x)
    _, masks = run(gates.evaluating(sparsified(SHARED["bypass"] | dict(share=True))))
    model(IMAGES)
    closed = np.asarray(masks["parts/2"]) == 0
    np.testing.assert_array_equal(seen[0][closed], IMAGES[closed])
    assert (seen[0][~closed] != IMAGES[~closed]).any(-1).all()


def test_every_layer_teaches_the_one_scorer():
    model = sparsified(SHARED["neurons"] | dict(share=True))
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)

    def loss(params, last):
        copy = nnx.merge(graphdef, params, rest, copy=True)
        for index in Net.order[:last]:  # what the others do teaches alone
            part = copy.parts[index]
            part.host.down.kernel[...] = jnp.zeros_like(part.host.down.kernel[...])
        return jnp.square(copy(IMAGES)).sum()

    for zeroed in (0, 2):
        slopes = jax.grad(loss)(params, zeroed)
        flat = nnx.to_flat_state(slopes)
        scorers = [x[...] for path, x in flat if "scorer" in path]
        assert scorers
        assert all(bool(jnp.any(x)) for x in scorers)


def test_a_layer_that_is_called_without_the_first_says_so():
    model = sparsified(SHARED["neurons"] | dict(share=True))
    with pytest.raises(ValueError, match="the first layer of its rule, which was not"):
        model.parts[0](IMAGES)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (EXITS | dict(head="hed"), "head='hed' is no module .* did you mean head"),
        (EXITS | dict(share=True), "false for exits, got True"),
        ({**EXITS, "head": "parts/0/down"}, "head='parts/0/down' cannot read features"),
        ({k: v for k, v in EXITS.items() if k != "head"}, "exits .* needs 'head'"),
        (SHARED["neurons"] | dict(share=2), "share must be true or false"),
    ],
)
def test_what_cannot_be_shared_is_refused_and_changes_nothing(rule, message):
    model = Net()
    with pytest.raises(ValueError, match=f"parts/[02], by the rule .*{message}"):
        layers.sparsify(
            model,
            {"parts/*": dict(scorer=NETWORK) | rule},
            IMAGES,
            rngs=nnx.Rngs(1, gate=2),
        )
    assert all(type(part) is Part for part in model.parts)
