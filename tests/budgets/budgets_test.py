"""Penalties and sampled densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse.budgets import (
    DensityLoss,
    DensitySampling,
    LoadBalanceLoss,
    set_density,
)
from dynsparse.gates import GateOutput
from tests.layers.rows import build


def decision(probabilities):
    probabilities = jnp.asarray(probabilities)
    return GateOutput(jnp.round(probabilities), probabilities)


def test_density_loss_is_the_squared_gap_of_each_layer():
    decisions = dict(a=decision([[0.2, 0.4]]), b=decision([[0.9, 0.7]]))
    loss = DensityLoss(target=0.5, weight=3.0)(decisions)
    np.testing.assert_allclose(loss, 3 * (0.2**2 + 0.3**2), rtol=1e-6)


def test_examples_may_differ_as_long_as_the_batch_meets_the_target():
    loss = DensityLoss(target=0.5, weight=3.0)
    np.testing.assert_allclose(loss(dict(a=decision([[0.0], [1.0]]))), 0, atol=1e-12)


def test_density_loss_in_bfloat16_is_averaged_in_float32():
    neighbours = jnp.array([0.5, 0.50390625], jnp.bfloat16)  # the mean is neither
    loss = DensityLoss(target=0.5, weight=1.0)(dict(a=decision(neighbours)))
    np.testing.assert_allclose(loss, 0.001953125**2, rtol=1e-6)


@pytest.mark.parametrize(("form", "balanced"), [("load", 1.0), ("importance", 0.0)])
def test_balance_is_best_where_units_are_equally_busy(form, balanced):
    loss = LoadBalanceLoss(form=form, weight=2.0)
    even = decision([[0.9, 0.1], [0.1, 0.9]])
    np.testing.assert_allclose(loss(dict(a=even)), 2 * balanced, atol=1e-6)
    np.testing.assert_allclose(loss(dict(a=even, b=even)), 4 * balanced, atol=1e-6)
    assert loss(dict(a=decision([[0.9, 0.1], [0.6, 0.4]]))) > 2 * balanced + 0.1


def test_balance_follows_its_formulas():
    uneven = decision([[[0.9, 0.8, 0.2]], [[0.7, 0.4, 0.1]]])  # ran: 2, 1, 0 of 3
    likely = np.array([1.6, 1.2, 0.3])
    load = 3 * (np.array([2, 1, 0]) / 3 * likely / likely.sum()).sum()
    importance = likely.var() / likely.mean() ** 2
    for form, expected in (("load", load), ("importance", importance)):
        loss = LoadBalanceLoss(form=form, weight=1.0)(dict(a=uneven))
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.parametrize("form", ["load", "importance"])
def test_balance_moves_units_together_and_leaves_the_density(form):
    loss = LoadBalanceLoss(form=form, weight=1.0)
    probabilities = jnp.array([[0.9, 0.8], [0.7, 0.3]])
    gradient = jax.grad(lambda p: loss(dict(a=GateOutput(jnp.round(p), p))))(
        probabilities
    )
    assert (gradient[:, 0] > 0).all()
    assert (gradient[:, 1] < 0).all()
    # All probabilities times a constant: the shares, hence the loss, are the same.
    np.testing.assert_allclose((gradient * probabilities).sum(), 0, atol=1e-6)


def test_balance_of_nothing_is_finite():
    for form in ("load", "importance"):
        loss = LoadBalanceLoss(form=form, weight=1.0)
        nothing = jnp.zeros((2, 3))
        value, gradient = jax.value_and_grad(
            lambda p, loss=loss: loss(dict(a=GateOutput(p, p)))
        )(nothing)
        assert value == 0
        assert jnp.isfinite(gradient).all()


def test_sampled_densities_fill_the_range_and_the_share_of_full_ones():
    sampling = DensitySampling(low=0.2, high=0.6, full=0.25)
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = np.asarray(jax.vmap(sampling)(keys))
    full = drawn == 1
    np.testing.assert_allclose(
        full.mean(), 0.25, atol=4 * (0.25 * 0.75 / 20_000) ** 0.5
    )
    rest = drawn[~full]
    assert ((rest >= 0.2) & (rest < 0.6)).all()
    np.testing.assert_allclose(rest.mean(), 0.4, atol=4 * 0.4 / (12 * 15_000) ** 0.5)


def test_set_density_reaches_every_gate_that_has_one():
    model = nnx.List([build("tokens", "soft_topk"), build("tokens", "gumbel_sigmoid")])
    set_density(model, jnp.float32(0.7))
    np.testing.assert_allclose(model[0].gate.density[...], 0.7)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (
            LoadBalanceLoss,
            dict(form="even", weight=1.0),
            "form must be 'load' or 'importance', got 'even'",
        ),
        (
            LoadBalanceLoss,
            dict(form="load", weight=-1.0),
            "weight must be >= 0, got -1",
        ),
        (
            DensityLoss,
            dict(target=1.5, weight=1.0),
            r"target must be in \[0, 1\], got 1.5",
        ),
        (DensityLoss, dict(target=0.5, weight=-1.0), "weight must be >= 0, got -1.0"),
        (DensitySampling, dict(low=0.0, high=1.0, full=0.0), "0 < low <= high <= 1"),
        (DensitySampling, dict(low=0.6, high=0.5, full=0.0), "low=0.6, high=0.5"),
        (DensitySampling, dict(low=0.1, high=1.0, full=2.0), "full must be in"),
    ],
)
def test_values_out_of_range_are_named(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)
