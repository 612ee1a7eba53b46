"""Derivatives of every mask of k of n."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given

from tests.ops.cases import FEW, cases, fit, rows, thorough
from tests.ops.rows import (
    EPS,
    ROWS,
    compiled_gradients,
    draw_scores,
)


@rows(FEW, real=True, bounded=True)
@thorough
@given(case=cases(sizes=(17,)))
def test_derivative_by_k_is_a_distribution(name, case):
    scores, k, temperature = case
    everywhere = np.ones(len(scores), np.float32)
    by_k = compiled_gradients(name)(
        scores, np.float32(k), np.float32(temperature), everywhere
    )[1]
    np.testing.assert_allclose(by_k, 1, atol=1e-5)
    some = np.float32(np.arange(len(scores)) % 3 == 0)
    share = compiled_gradients(name)(
        scores, np.float32(k), np.float32(temperature), some
    )[1]
    assert -1e-6 <= share <= 1 + 1e-6


@rows(FEW)
@thorough
@given(case=cases(sizes=(17,)))
def test_scores_cannot_drift_together(name, case):
    scores, k, temperature = fit(name, case)
    cotangent = np.sin(1 + np.arange(len(scores), dtype=np.float32))
    gradient = compiled_gradients(name)(
        scores, np.float32(k), np.float32(temperature), cotangent
    )[0]
    total = np.float64(gradient).sum()
    size = np.abs(np.float64(gradient)).sum() + np.abs(cotangent).sum() / temperature
    assert abs(total) <= 32 * EPS * ROWS[name].steepest * size + 1e-6


@rows(FEW, laplacian=True)
def test_jacobian_is_a_graph_laplacian(name):
    scores = np.float64(draw_scores("normal", 9, 3))
    jacobian_at = jax.jit(jax.jacrev(ROWS[name].mask))
    for k, temperature in itertools.product((0.0, 2.0, 8.0, 9.0), (0.1, 3.0)):
        with jax.enable_x64(True):
            temperature = max(temperature, ROWS[name].coldest)
            jacobian = np.asarray(jacobian_at(scores, np.float64(k), temperature))
        near = 1e-9 * (1 + np.abs(jacobian).max())
        np.testing.assert_allclose(jacobian, jacobian.T, atol=near)
        np.testing.assert_allclose(jacobian.sum(-1), 0, atol=near)
        assert np.linalg.eigvalsh(jacobian + jacobian.T).min() >= -near
        assert (jacobian - np.diag(np.diag(jacobian)) <= near).all()


@rows((*FEW, "capped_entmax", "neural_sort"))  # costs_test.py tries every family
def test_derivatives_match_finite_differences(name):
    """Value by scores, k and temperature, forward and reverse, in float64."""
    with jax.enable_x64(True):
        weights, step = jnp.cos(jnp.arange(6.0)), 1e-6
        scores = jnp.asarray([0.31, -1.2, 0.9, 0.11, -0.4, 1.7])
        point = (scores, jnp.float64(2.3 if ROWS[name].real else 2), jnp.float64(1.1))
        direction = (jnp.sin(1 + jnp.arange(6.0)), float(ROWS[name].real), -0.3)
        tangent = tuple(jnp.asarray(d, jnp.float64) for d in direction)
        loss = lambda *p: weights @ ROWS[name].mask(*p)
        both = jax.jit(
            lambda p, t: (jax.jvp(loss, p, t), jax.grad(loss, (0, 1, 2))(*p))
        )
        moved = lambda scale: tuple(
            p + scale * d for p, d in zip(point, tangent, strict=True)
        )
        (_, forward), gradients = both(point, tangent)
        values = [both(moved(scale), tangent)[0][0] for scale in (step, -step)]
        difference = (values[0] - values[1]) / (2 * step)
        back = sum(jnp.vdot(g, d) for g, d in zip(gradients, tangent, strict=True))
        assert abs(difference) > 1e-3
        np.testing.assert_allclose(forward, difference, rtol=1e-5)
        np.testing.assert_allclose(back, forward, rtol=1e-9)


@rows(smooth=True)
def test_second_derivatives_match_finite_differences(name):
    with jax.enable_x64(True):
        scores = jnp.asarray(draw_scores("normal", 5, 5), jnp.float64)
        weights, step = jnp.cos(jnp.arange(5.0)), 1e-5
        loss = lambda s: weights @ ROWS[name].mask(s, 2.0, 0.7)
        both = jax.jit(lambda s: (jax.grad(loss)(s), jax.hessian(loss)(s)))
        exact = both(scores)[1]
        for index, shift in enumerate(step * np.eye(5)):
            above, below = both(scores + shift)[0], both(scores - shift)[0]
            difference = (above - below) / (2 * step)
            np.testing.assert_allclose(exact[index], difference, rtol=1e-5, atol=1e-8)
