"""The bill against counts of the compact execution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs.methods import METHODS
from dynsparse import costs, gates, layers
from dynsparse.gates import records
from dynsparse.layers import GatedTokens, TransformerBlock
from dynsparse.layers.scorers.base import Network
from tests.layers.small_layers import SPECS, TOKENS, WIDTH, build
from tests.models.conv_vit_test import GUMBEL, SOFT, run
from tests.models.conv_vit_test import build as build_model

EXAMPLE = jax.ShapeDtypeStruct((1, 12, 16, 3), jnp.float32)
SCORER = 8 * 4 + 4  # width * hidden + hidden, of the tiny model


def images(batch=16):
    return jax.random.uniform(jax.random.key(1), (batch, 12, 16, 3))


@pytest.mark.parametrize("density", [0.25, 0.5, 0.75, 1.0])
def test_bill_is_the_count_of_compact_execution_at_a_fixed_count(density):
    compact = nnx.view(
        build_model(SOFT), execution="compact", density=density, deterministic=True
    )
    bill = costs.bill(compact, images(2))
    assert (bill.used == costs.count_macs(compact, EXAMPLE)).all()


@pytest.mark.parametrize("granularity", ["tokens", "blocks"])
def test_decisions_of_compact_execution_have_the_bill_of_masked_ones(granularity):
    model = build_model(GUMBEL, granularity=granularity)
    decided = gates.evaluating(model, execution="compact")
    _, captured = run(decided, images(4))
    masks = {name: output.mask for name, output in records(captured).items()}
    ran = costs.itemize(costs.Prices(model, EXAMPLE), masks, num_examples=4)
    assert str(ran) == str(costs.bill(model, images(4)))


def test_dense_macs_are_those_of_the_host_alone():
    model = build_model(SOFT)
    dense = nnx.view(model, execution="dense")
    assert costs.bill(model, images(2)).dense == costs.count_macs(dense, EXAMPLE)


@pytest.mark.parametrize("granularity", ["tokens", "blocks"])
def test_varying_counts_are_billed_example_by_example(granularity):
    model = build_model(GUMBEL, granularity=granularity)
    for _, module in nnx.iter_modules(model):
        if isinstance(module, Network):
            module.score.kernel[...] *= 30
    model = nnx.view(model, deterministic=True)
    batch = images() * jnp.linspace(0, 4, 16)[:, None, None, None]
    bill = costs.bill(model, batch)
    _, captured = run(model, batch)
    masks = {name: output.mask for name, output in records(captured).items()}
    assert len(np.unique(bill.used)) > 1
    dense = costs.count_macs(nnx.view(model, execution="dense"), EXAMPLE)
    n, width, hidden = 12, 8, 16
    if granularity == "blocks":
        block = n * (4 * width**2 + 2 * width * hidden) + 2 * n * n * width
        opened = sum(np.asarray(mask).sum(-1) for mask in masks.values())
        expected = dense - (2 - opened) * block + 2 * SCORER
    else:
        count = np.asarray(masks["body"]).sum(-1)
        per_token = 2 * (4 * width**2 + 2 * width * hidden)
        products = 2 * 2 * (n**2 - count**2) * width
        expected = dense - (n - count) * per_token - products + n * SCORER
    np.testing.assert_array_equal(bill.used, expected)


def test_the_gate_pays_for_itself():
    bill = costs.bill(build_model(SOFT), images(3))
    np.testing.assert_array_equal(bill.layers["body"].gate, 12 * SCORER)


def test_scores_that_no_gate_reads_cost_nothing():
    bill = costs.bill(build_model(SPECS["dense"]), images(3))
    np.testing.assert_array_equal(bill.layers["body"].gate, 0)


def test_random_methods_have_a_scorer_that_costs_nothing():
    config = METHODS["random_topk"].get_config()
    model = build_model(config.gate.to_dict() | dict(density=0.5), scorer=config.scorer)
    bill = costs.bill(model, images(3))
    np.testing.assert_array_equal(bill.layers["body"].gate, 0)
    assert (bill.used < bill.dense).all()


def test_full_density_of_a_top_k_gate_costs_what_the_dense_model_does():
    bill = costs.bill(build_model({**SOFT, "density": 1.0}), images(3))
    assert (bill.used == bill.dense).all()


@pytest.mark.parametrize("granularity", ["tokens", "blocks"])
def test_layers_and_the_rest_add_up(granularity):
    model = build_model(GUMBEL, granularity=granularity)
    bill = costs.bill(model, images(5))
    gated = sum(layer.dense for layer in bill.layers.values())
    used = sum(layer.used + layer.gate for layer in bill.layers.values())
    np.testing.assert_array_equal(bill.dense - gated + used, bill.used)


def test_floor_is_the_count_with_every_unit_closed():
    model = build_model(SOFT)
    closed = nnx.view(model, execution="compact", density=0.0, deterministic=True)
    assert costs.bill(model, images(2)).floor == costs.count_macs(closed, EXAMPLE)


def test_a_control_that_keeps_nothing_still_pays_its_stem():
    model = build_model(SPECS["random_topk"], scorer=dict(name="evenly_spaced"))
    floor = costs.bill(model, images(2)).floor
    assert floor == costs.bill(build_model(SOFT), images(2)).floor - 12 * SCORER


def test_statistics_are_those_of_the_examples():
    used = np.array([10, 20, 30, 100])
    bill = costs.Bill(dense=100, floor=5, used=used, layers={})
    assert (bill.mean, bill.p50, bill.max, bill.budget) == (40, 25, 100, 0.4)
    np.testing.assert_allclose(bill.p95, np.percentile(used, 95))


def test_a_model_without_gates_has_a_bill():
    model = nnx.Linear(4, 5, rngs=nnx.Rngs(0))
    bill = costs.bill(model, jnp.zeros((3, 4)))
    np.testing.assert_array_equal(bill.used, [20, 20, 20])
    assert bill.floor == bill.dense == 20


class Nested(nnx.Module):
    """Tokens that are dropped once and then again: prices do not add up."""

    def __init__(self):
        rngs = nnx.Rngs(0, gate=1)
        self.first = build("tokens", "gumbel_sigmoid")
        self.first.host = Inner(build("tokens", "gumbel_sigmoid", spread=9.0))
        self.last = nnx.Linear(WIDTH, 3, rngs=rngs)

    def __call__(self, tokens):
        return self.last(self.first(tokens)[0].sum(1))


class Inner(nnx.Module):
    def __init__(self, block):
        self.block = block.host
        self.gate_in = build("blocks", "gumbel_sigmoid", spread=20.0)

    def __call__(self, tokens, mask):
        del mask
        return self.block(self.gate_in(tokens))


def test_layers_that_change_each_others_price_are_priced_together():
    model = nnx.view(Nested(), deterministic=True)
    prices = costs.Prices(model, jax.ShapeDtypeStruct((1, TOKENS, WIDTH), jnp.float32))
    inner, outer = sorted(prices.parts, key=len, reverse=True)
    block = lambda n: n * (4 * WIDTH**2 + 2 * WIDTH * 16) + 2 * n * n * WIDTH
    last = 3 * WIDTH
    for count in (2, 7):
        for opened in (0, 1):
            used = prices.used({outer: np.array([count]), inner: np.array([opened])})
            gates_cost = sum(part.gate for part in prices.parts.values())
            assert used - gates_cost == last + (1 + opened) * block(count)


def test_masks_of_every_layer_are_needed():
    prices = costs.Prices(build_model(SOFT), EXAMPLE)
    with pytest.raises(ValueError, match=r"counts lack the layers \['body'\]"):
        costs.itemize(prices, {}, num_examples=2)


def test_counts_of_every_layer_are_needed():
    prices = costs.Prices(build_model(SOFT), EXAMPLE)
    with pytest.raises(ValueError, match=r"counts lack the layers \['body'\]"):
        prices.used({})


@pytest.mark.parametrize("budget", [0.6, 0.77, 0.9, 1.0])
def test_a_budget_buys_the_largest_density_that_it_pays_for(budget):
    model = build_model(SOFT)
    prices = costs.Prices(model, EXAMPLE)
    density = costs.largest_density(prices, budget)
    k = round(density * 12)
    cost = lambda k: prices.used({"body": np.array([k])})[0]
    assert cost(k) <= budget * prices.dense
    assert k == 12 or cost(k + 1) > budget * prices.dense


def test_a_budget_below_the_floor_is_named():
    prices = costs.Prices(build_model(SOFT), EXAMPLE)
    share = f"{prices.floor / prices.dense:.3f}"
    with pytest.raises(ValueError, match=f"budget 0.01 is below the floor .*{share}"):
        costs.largest_density(prices, 0.01)


def test_a_budget_needs_a_gate_with_a_density():
    prices = costs.Prices(build_model(GUMBEL), EXAMPLE)
    with pytest.raises(ValueError, match="no gate of this model has a density"):
        costs.largest_density(prices, 0.5)


class Both(nnx.Module):
    """A layer with a density and one that always opens one of its units."""

    def __init__(self):
        self.some = build("neurons", "soft_topk")
        self.one = build("experts", "gumbel_softmax")

    def __call__(self, x):
        return self.one(self.some(x))


@pytest.mark.parametrize("budget", [0.35, 0.5])
def test_a_gate_that_opens_one_costs_one_at_every_density(budget):
    example = jax.ShapeDtypeStruct((1, TOKENS, WIDTH), jnp.float32)
    prices = costs.Prices(Both(), example)
    density = costs.largest_density(prices, budget)
    some, one = prices.parts["some"], prices.parts["one"]
    cost = lambda density: prices.used(
        dict(
            some=np.array([round(density * some.num_units)]),
            one=np.array([one.num_rows]),
        )
    )[0]
    assert cost(density) <= budget * prices.dense < cost(density + 1 / 4)


def test_layers_may_share_a_host():
    def layer(host):
        score = dict(name="mlp", hidden=4)
        return GatedTokens(
            host=host,
            scorer=layers.make_scorer(
                score, GatedTokens, width=WIDTH, num_units=1, rngs=nnx.Rngs(0)
            ),
            gate=gates.from_config(SPECS["soft_topk"], rngs=nnx.Rngs(0, gate=1)),
            num_tokens=TOKENS,
        )

    class Twice(nnx.Module):
        def __init__(self, *hosts):
            self.first, self.second = map(layer, hosts)

        def __call__(self, x):
            return self.second(self.first(x)[0])[0]

    new = lambda: TransformerBlock(
        width=WIDTH, num_heads=2, mlp_width=16, rngs=nnx.Rngs(0)
    )
    shared, x = new(), jnp.ones((2, TOKENS, WIDTH))
    apart = costs.bill(Twice(new(), new()), x)
    assert str(costs.bill(Twice(shared, shared), x)) == str(apart)


def test_the_printed_bill_names_every_layer_and_the_floor():
    text = str(costs.bill(build_model(GUMBEL, granularity="blocks"), images(2)))
    for word in ("body/blocks/0", "body/blocks/1", "not gated", "total", "floor"):
        assert word in text


def test_prices_hold_for_a_user_layer_around_any_host():
    rngs = nnx.Rngs(0, gate=1)
    host = TransformerBlock(width=WIDTH, num_heads=1, mlp_width=4, rngs=rngs)
    layer = GatedTokens(
        host=host,
        scorer=layers.make_scorer(
            dict(name="mlp", hidden=4),
            GatedTokens,
            width=WIDTH,
            num_units=TOKENS,
            rngs=rngs,
        ),
        gate=gates.from_config(SPECS["soft_topk"], rngs=rngs),
        num_tokens=TOKENS,
    )
    bill = costs.bill(layer, jnp.ones((2, TOKENS, WIDTH)))
    assert list(bill.layers) == [""]
    assert bill.used[0] < bill.dense
