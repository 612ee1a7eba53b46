"""Each penalty against its formula, and what all of them must hold."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from dynsparse.budgets import penalties
from dynsparse.gates import GateOutput
from tests.budgets.usages import usage

ROWS = {
    "batch_shaping": dict(weight=3.0, alpha=0.6, beta=0.4, until=1.0),
    "diversity": dict(weight=3.0),
    "load_balance": dict(weight=3.0, form="importance"),
    "mac_target": dict(weight=3.0, target=0.5, bounds_until=0.4),
    "target_rate": dict(weight=3.0, target=0.5),
    "usage_l1": dict(weight=3.0, target=0.3),
}
DRAWN = np.random.default_rng(0).uniform(0.05, 0.95, (8, 3, 4)).astype(np.float32)
OTHER = np.random.default_rng(1).uniform(0.05, 0.95, (8, 2)).astype(np.float32)


def build(name, **changes):
    return penalties.from_config(dict(name=name) | ROWS[name] | changes)


@functools.cache
def compiled(name, **changes):
    """Value and gradient, by the first layer, of a penalty of up to two layers."""

    def value(a, b=None, examples=None):
        decisions = dict(a=a) if b is None else dict(a=a, b=b)
        return build(name, **changes)(usage(decisions, progress=0.1, examples=examples))

    return jax.jit(jax.value_and_grad(value))


def test_every_penalty_has_a_row():
    assert penalties.available() == sorted(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_the_weight_multiplies(name):
    once, _ = compiled(name, weight=1.0)(DRAWN, OTHER)
    thrice, _ = compiled(name)(DRAWN, OTHER)
    assert once != 0
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-5)


@pytest.mark.parametrize("name", ROWS)
def test_examples_that_only_fill_the_batch_count_for_nothing(name):
    filled = [np.concatenate([x, np.ones_like(x[:3])]) for x in (DRAWN, OTHER)]
    counts = np.float32([1] * 8 + [0] * 3)
    alone, _ = compiled(name)(DRAWN, OTHER)
    padded, _ = compiled(name)(*filled, counts)
    np.testing.assert_allclose(padded, alone, rtol=1e-5)
    everything, _ = compiled(name)(*filled, np.ones_like(counts))
    assert abs(everything - alone) > 1e-4


@pytest.mark.parametrize("name", ROWS)
def test_a_batch_over_two_devices_is_one_batch(name):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    halves = NamedSharding(mesh, PartitionSpec("data"))
    spread = compiled(name)(*[jax.device_put(x, halves) for x in (DRAWN, OTHER)])
    assert len(spread[1].sharding.device_set) == 2
    whole = compiled(name)(DRAWN, OTHER)
    for one, other in zip(spread, whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


# The sorted order of batch_shaping is a constant to both, away from ties.
@pytest.mark.parametrize("name", ROWS)
def test_gradients_are_those_of_finite_differences(name):
    loss = lambda a: compiled(name)(a, OTHER)[0]
    direction = np.cos(np.arange(DRAWN.size)).reshape(DRAWN.shape).astype(np.float32)
    analytic = (np.asarray(compiled(name)(DRAWN, OTHER)[1]) * direction).sum()
    step = 3e-4 if name == "batch_shaping" else 1e-2
    numeric = (loss(DRAWN + step * direction) - loss(DRAWN - step * direction)) / (
        2 * step
    )
    np.testing.assert_allclose(analytic, numeric, rtol=2e-2, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "changes"),
    [*((name, {}) for name in ROWS), ("load_balance", dict(form="load"))],
)
@pytest.mark.parametrize("value", [0.0, 1e-30, 1e-21, 1e-10, 1.0])
def test_value_and_gradient_are_finite_at_the_ends(name, changes, value):
    for x in compiled(name, **changes)(np.full((4, 3), value, np.float32)):
        assert np.isfinite(x).all()


@pytest.mark.parametrize("name", ROWS)
def test_bfloat16_is_averaged_in_float32(name):
    near = jnp.asarray(DRAWN, jnp.bfloat16)
    exact = build(name)(usage(dict(a=near.astype(jnp.float32)), progress=0.1))
    value = build(name)(usage(dict(a=near), progress=0.1))
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, exact, rtol=1e-6)


def test_target_rate_is_the_squared_gap_of_each_layer():
    batch = usage(dict(a=[[0.2, 0.4]], b=[[0.9, 0.7]]))
    np.testing.assert_allclose(
        build("target_rate")(batch), 3 * (0.2**2 + 0.3**2), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["target_rate", "mac_target"])
def test_examples_may_differ_as_long_as_the_batch_meets_the_target(name):
    batch = usage(dict(a=[[0.0], [1.0]]))
    np.testing.assert_allclose(build(name)(batch), 0, atol=1e-12)


def test_usage_l1_is_the_distance_of_the_macs():
    batch = usage(
        dict(a=[[0.5, 0.7]], b=[[0.1, 0.3]]), prices=dict(a=0.5, b=0.3), floor=0.1
    )
    spent = 0.1 + 0.5 * 0.6 + 0.3 * 0.2
    np.testing.assert_allclose(build("usage_l1")(batch), 3 * (spent - 0.3), rtol=1e-5)


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.2, 0.4, 1.0])
def test_mac_target_follows_its_formula(progress):
    batch = usage(
        dict(a=[[0.9]], b=[[0.2]]),
        prices=dict(a=0.6, b=0.3),
        floor=0.1,
        progress=progress,
    )
    tight = np.cos(np.pi / 2 * min(progress / 0.4, 1)) ** 2
    upper, lower = 1 - tight * 0.5, tight * 0.5
    outside = max(0.9 - upper, 0) ** 2 + max(lower - 0.2, 0) ** 2
    spent = 0.1 + 0.6 * 0.9 + 0.3 * 0.2
    expected = 3 * ((spent - 0.5) ** 2 + outside / 2)
    np.testing.assert_allclose(build("mac_target")(batch), expected, rtol=1e-5)


@pytest.mark.parametrize("progress", [0.0, 0.25, 0.5, 0.9])
def test_batch_shaping_follows_its_formula(progress):
    loss = build("batch_shaping", until=0.5)(usage(dict(a=DRAWN), progress=progress))
    rows = np.sort(DRAWN.reshape(-1, 4), 0)
    ranks = np.arange(1, len(rows) + 1)[:, None] / (len(rows) + 1)
    distance = np.square(scipy.stats.beta(0.6, 0.4).cdf(rows) - ranks).mean()
    expected = 3 * distance * max(1 - progress / 0.5, 0)
    np.testing.assert_allclose(loss, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("form", "balanced"), [("load", 1.0), ("importance", 0.0)])
def test_balance_is_best_where_units_are_equally_busy(form, balanced):
    loss = build("load_balance", form=form)
    even = [[0.9, 0.1], [0.1, 0.9]]
    np.testing.assert_allclose(loss(usage(dict(a=even))), 3 * balanced, atol=1e-6)
    both = loss(usage(dict(a=even, b=even)))
    np.testing.assert_allclose(both, 6 * balanced, atol=1e-6)
    assert loss(usage(dict(a=[[0.9, 0.1], [0.6, 0.4]]))) > 3 * balanced + 0.1


def test_balance_follows_its_formulas():
    uneven = [[[0.9, 0.8, 0.2]], [[0.7, 0.4, 0.1]]]  # ran: 2, 1, 0 of 3
    likely = np.array([1.6, 1.2, 0.3])
    load = 3 * (np.array([2, 1, 0]) / 3 * likely / likely.sum()).sum()
    importance = likely.var() / likely.mean() ** 2
    for form, expected in (("load", load), ("importance", importance)):
        loss = build("load_balance", form=form, weight=1.0)(usage(dict(a=uneven)))
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_load_of_soft_masks_is_their_sum():
    loss = build("load_balance", form="load", weight=1.0)
    for masks, expected in (([0.5, 0.5], 1.0), ([0.9, 0.1], 2 * (0.81 + 0.01))):
        record = GateOutput(jnp.array([[masks]]), jnp.array([[[0.9, 0.1]]]))
        batch = dataclasses.replace(usage(dict(a=[[1.0]])), decisions=dict(a=record))
        np.testing.assert_allclose(loss(batch), expected, rtol=1e-6)


@pytest.mark.parametrize("form", ["load", "importance"])
def test_balance_moves_units_together_and_leaves_the_density(form):
    loss = build("load_balance", form=form)
    probabilities = jnp.array([[0.9, 0.8], [0.7, 0.3]])
    gradient = jax.grad(lambda p: loss(usage(dict(a=p))))(probabilities)
    assert (gradient[:, 0] > 0).all()
    assert (gradient[:, 1] < 0).all()
    # All probabilities times a constant: the shares, hence the loss, are the same.
    np.testing.assert_allclose((gradient * probabilities).sum(), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("probabilities", "bits"),
    [
        ([[0.3], [0.3], [0.3], [0.3]], 0.0),  # ignores the input
        ([[1.0], [1.0], [1.0], [1.0]], 0.0),
        ([[1.0], [0.0], [1.0], [0.0]], 1.0),
        ([[1.0], [0.0], [0.0], [0.0]], 0.8112781),  # h(1/4)
    ],
)
def test_diversity_is_minus_the_mutual_information(probabilities, bits):
    value = build("diversity", weight=1.0)(usage(dict(a=probabilities)))
    np.testing.assert_allclose(value, -bits, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("load_balance", dict(form="even"), "one of .*'load'.*, got 'even'"),
        ("load_balance", dict(weight=-1.0), "weight must be >= 0, got -1.0"),
        ("target_rate", dict(target=1.5), r"target must be in \[0, 1\], got 1.5"),
        ("usage_l1", dict(target=-0.5), r"target must be in \[0, 1\], got -0.5"),
        ("mac_target", dict(bounds_until=2.0), "bounds_until must be in .*got 2.0"),
        ("batch_shaping", dict(alpha=0.0), "alpha must be > 0, got 0.0"),
        ("batch_shaping", dict(until=0.0), r"until must be in \(0, 1\], got 0.0"),
        ("diversity", dict(colour=1), "diversity has no key 'colour'"),
        ("unity", {}, "penalties: unknown name 'unity'; accepted: batch_shaping"),
    ],
)
def test_mistakes_are_named(name, changes, message):
    with pytest.raises(ValueError, match=message):
        penalties.from_config(dict(ROWS.get(name, {}), name=name) | changes)
