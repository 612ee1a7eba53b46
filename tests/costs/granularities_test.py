"""The bill of every granularity: what a unit costs, and what compact execution runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse import costs, layers, ops
from dynsparse.budgets import Usage
from dynsparse.gates import GateRecord, deterministic_output, evaluating, records
from dynsparse.layers.units.parts import GatedParts
from tests.layers.small_layers import (
    LAYERS,
    SIDE,
    SPECS,
    VARYING_LAYERS,
    WIDTH,
    Inner,
    build,
    inputs,
)
from tests.sampled import sampled

PRICED = [name for name, row in LAYERS.items() if row.pair]
# Where a fixed count gives compact execution one static shape.
STATIC = (
    "bypass",
    "channels",
    "expert_choice",
    "features",
    "positions",
    "tokens",
    "width",
)
SUMS = ("channels", "expert_choice", "experts", "heads", "neurons")


def example(layer):
    one = inputs(layer, 1)
    return jax.ShapeDtypeStruct(one.shape, one.dtype)


@pytest.mark.parametrize("layer", PRICED)
def test_every_open_unit_costs_what_it_should(layer):
    prices = costs.Prices(build(layer, "soft_topk"), example(layer))
    (part,) = prices.parts.values()
    pair, n = LAYERS[layer].pair, part.num_units
    counts = np.array([0, 1, n // 2, n - 1])
    used = part.closed - prices.saved(part.name, counts)
    np.testing.assert_array_equal(used, pair * counts)
    if layer != "positions":  # where tiles overlap in what they read
        assert part.closed == pair * n
    else:
        assert part.closed == prices.dense == 9 * ((SIDE + 2) ** 2 + SIDE**2) * 64


@pytest.mark.parametrize("layer", sampled(STATIC, ["channels", "tokens", "width"]))
@pytest.mark.parametrize("density", sampled([0.25, 0.75, 1.0], [0.25]))
def test_bill_is_the_count_of_compact_execution_at_a_fixed_count(layer, density):
    view = dict(execution="compact", density=density)
    compact = evaluating(build(layer, "soft_topk"), **view)
    bill = costs.bill(compact, inputs(layer, 2))
    assert (bill.used == costs.count_macs(compact, example(layer))).all()


@pytest.mark.parametrize("layer", SUMS)
@pytest.mark.parametrize(
    "gate", sampled(["soft_topk", "gumbel_sigmoid"], ["gumbel_sigmoid"])
)
def test_sums_of_parts_run_at_most_a_capacity_step_more_than_is_billed(layer, gate):
    module, x = evaluating(build(layer, gate)), inputs(layer, 16)
    bill = costs.bill(module, x)
    (mask,) = costs.run_gates(module, x).values()
    if layer == "expert_choice":
        mask = mask.swapaxes(1, 2)
    rows = np.asarray(mask).reshape(-1, mask.shape[-1])
    sizes = np.array(ops.capacities(len(rows), GatedParts.capacity_steps))
    ran = sum(sizes[sizes >= load].min() for load in (rows > 0).sum(0))
    pair = LAYERS[layer].pair
    (share,) = bill.layers.values()
    billed = share.used.sum()
    assert billed == (rows > 0).sum() * pair
    assert billed <= ran * pair
    assert ran * pair < billed + mask.shape[-1] * np.diff(sizes).max() * pair


@pytest.mark.parametrize("layer", sampled(VARYING_LAYERS, ["blocks", "neurons"]))
def test_used_and_gates_add_up(layer):
    module = evaluating(build(layer, "gumbel_sigmoid"))
    bill = costs.bill(module, inputs(layer, 9))
    gated = sum(part.dense for part in bill.layers.values())
    used = sum(part.used + part.gate for part in bill.layers.values())
    np.testing.assert_array_equal(bill.dense - gated + used, bill.used)
    assert len(np.unique(bill.used)) > 1


@pytest.mark.parametrize("layer", sampled(["experts", "neurons"], ["neurons"]))
@pytest.mark.parametrize("budget", [0.5, 0.9])
def test_densities_of_rows_are_those_of_each_row(layer, budget):
    prices = costs.Prices(build(layer, "soft_topk"), example(layer))
    density = costs.largest_density(prices, budget)
    assert density in (0.25, 0.5, 0.75)
    (part,) = prices.parts.values()
    spend = lambda density: prices.used({part.name: np.array([48 * density], int)})[0]
    assert spend(density) <= budget * prices.dense < spend(density + 0.25)


def test_dropped_tokens_make_the_neurons_behind_them_cheaper():
    outer = build("tokens", "soft_topk")
    outer.host = Inner("neurons", "soft_topk")
    outer = evaluating(outer)
    bill = costs.bill(outer, inputs("tokens", 2))
    pair, scorer = LAYERS["neurons"].pair, 8 * 4
    density = SPECS["soft_topk"]["density"]
    opened = int(12 * density)
    # A quarter of the tokens, and of those each a quarter of the blocks.
    neurons = opened * (4 * density) * pair
    gates = 12 * (scorer + 4) + opened * (scorer + 4 * 4)
    assert bill.dense == 12 * 4 * pair
    np.testing.assert_array_equal(bill.used, neurons + gates)
    assert isinstance(outer, layers.GatedTokens)


@pytest.mark.parametrize("budget", sampled([0.15, 0.5], [0.5]))
def test_densities_of_rows_behind_tokens_are_those_of_the_open_ones(budget):
    outer = build("tokens", "soft_topk")
    outer.host = Inner("neurons", "soft_topk")
    prices = costs.Prices(outer, example("tokens"))
    density = costs.largest_density(prices, budget)
    x = inputs("tokens", 2)
    spend = lambda density: costs.bill(evaluating(outer, density=density), x).max
    assert spend(density) <= budget * prices.dense < spend(density + 1 / 12)


class Nested(nnx.Module):
    """Exits, with blocks behind the first answer that examples skip as well."""

    def __init__(self):
        self.exits = build("exits", "gumbel_sigmoid")
        self.exits.rest[0].host.body = build("blocks", "gumbel_sigmoid")

    def __call__(self, x):
        return self.exits(x)


def test_exits_cut_the_blocks_behind_them():
    model, x = evaluating(Nested()), inputs("exits", 16)
    bill = costs.bill(model, x)
    masks = costs.run_gates(model, x)
    first, second = (masks[f"exits/rest/{i}"][:, 0] for i in (0, 1))
    inner = masks["exits/rest/0/host/body"][:, 0]
    block = costs.count_macs(model.exits.rest[1].host.body, x[:1])
    answer, gate = WIDTH * 3, WIDTH * 4 + 4
    runs = first * (inner * block + gate + answer) + second * (block + answer)
    np.testing.assert_array_equal(bill.used, answer + runs)
    assert len(np.unique(bill.used)) > 2


class Skipped(nnx.Module):
    """Blocks of neurons behind bypassed tokens, in turn behind a block gate."""

    def __init__(self):
        self.block = build("blocks", "gumbel_sigmoid")
        self.block.host = build("bypass", "gumbel_sigmoid")
        self.block.host.host.mlp = build("neurons", "gumbel_sigmoid")

    def __call__(self, x):
        return self.block(x)


@functools.cache
def priced(make):
    """What several tests read: the prices of a model of gates behind gates."""
    return costs.Prices(make(), example("blocks"))


@pytest.mark.parametrize("make", sampled([Nested, Skipped], [Nested]))
def test_gates_behind_gates_are_on_record_in_compact_execution(make):
    """Closed where what is around them did not run, else as in masked execution."""
    model, x = make(), inputs("blocks", 16)

    def run(execution):
        view = evaluating(model, execution=execution)
        graphdef, state = nnx.split(view)
        call = lambda state: nnx.capture(nnx.merge(graphdef, state), GateRecord)(x)
        output, captured = jax.jit(call)(state)
        masks = {name: record.mask for name, record in records(captured).items()}
        return output, masks

    (masked, everywhere), (compact, masks) = run("masked"), run("compact")
    np.testing.assert_allclose(compact, masked, atol=1e-5)
    assert masks.keys() == everywhere.keys()
    for name, mask in masks.items():
        computed = jnp.ones_like(mask)
        for outer, others in masks.items():
            if name != outer and name.startswith(outer):
                about = others[:, 0] if others.shape[1] == 1 else others
                axes = (..., *[None] * (mask.ndim - about.ndim))
                computed = computed * (about > 0)[axes]
        np.testing.assert_array_equal(mask, everywhere[name] * computed)
    itemize = lambda masks: costs.itemize(priced(make), masks, num_examples=16).used
    np.testing.assert_array_equal(itemize(masks), itemize(everywhere))


@pytest.mark.parametrize("make", sampled([Nested, Skipped], [Nested]))
def test_shares_and_floor_add_up_to_everything_open(make):
    prices = priced(make)
    shares = prices.layer_cost_curves()
    for curve in shares.values():
        assert (np.diff(curve.costs) >= 0).all()
        assert (curve.densities[0], curve.densities[-1], curve.costs[0]) == (0, 1, 0)
    gates = sum(part.gate for part in prices.parts.values())
    np.testing.assert_allclose(
        sum(curve.costs[-1] for curve in shares.values()) + prices.floor / prices.dense,
        1 + gates / prices.dense,
    )


def test_shares_price_gates_behind_gates_by_their_open_units():
    model, x = evaluating(Nested()), inputs("exits", 16)
    prices = priced(Nested)
    masks = costs.run_gates(model, x)
    usage = Usage(
        decisions={
            name: deterministic_output(mask[None]) for name, mask in masks.items()
        },
        prices=prices.layer_cost_curves(),
        floor=prices.floor / prices.dense,
        progress=1.0,
    )
    # The gate behind a closed exit is not asked, which the floor does not know.
    unasked = prices.parts["exits/rest/0/host/body"].gate * (
        1 - float(masks["exits/rest/0"].mean())
    )
    bill = costs.itemize(prices, masks, num_examples=16)
    np.testing.assert_allclose(
        usage.budget() - unasked / prices.dense, bill.budget, rtol=1e-5
    )


def test_tiles_cost_their_halo_however_many_are_open():
    """As where another example of the batch has closed ones."""
    module = build("positions", "gumbel_sigmoid")
    prices = costs.Prices(module, example("positions"))
    (part,) = prices.parts.values()
    pair = LAYERS["positions"].pair
    counts = np.arange(part.num_units + 1)
    used = prices.used({part.name: counts}) - part.gate
    np.testing.assert_array_equal(used - used[0], counts * pair)
    (curve,) = prices.layer_cost_curves().values()
    np.testing.assert_allclose(curve.costs, curve.densities * used[-1] / prices.dense)


def test_decisions_about_examples_count_for_the_share_that_runs():
    """Heads inside of tokens: half of the tokens, half of what heads cost."""
    decide = lambda rows: deterministic_output(jnp.array([rows], jnp.float32))
    line = lambda cost: (np.array([0.0, 1.0]), np.array([0.0, cost]))
    spent = Usage(
        decisions={
            "body": decide([[1, 1, 0, 0]]),
            "body/host/heads": decide([[1, 1]]),
        },
        prices={"body": line(0.2), "body/host/heads": line(0.6)},
        floor=0.2,
        progress=1.0,
    )
    np.testing.assert_allclose(spent.budget(), 0.2 + 0.5 * 0.2 + 0.5 * 0.6, rtol=1e-6)


@pytest.mark.parametrize("budget", [0.0, 50.0])
def test_a_budget_is_a_fraction(budget):
    prices = costs.Prices(build("tokens", "soft_topk"), example("tokens"))
    with pytest.raises(ValueError, match=r"a fraction in \(0, 1\], got"):
        costs.largest_density(prices, budget)


def test_a_printed_bill_says_where_its_rows_do_not_add_up():
    x = inputs("blocks", 16)
    for model, adds_up in ((Skipped(), False), (Skipped().block, True)):
        if adds_up:
            model.host = model.host.host
            model.host.mlp = model.host.mlp.host
        text = str(costs.bill(evaluating(model), x))
        assert ("not gated" in text) == adds_up
        assert ("the rows do not add up" in text) != adds_up
