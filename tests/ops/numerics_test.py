"""Every mask of k of n at hard inputs, in other types, under transformations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.ops.cases import FEW, rows
from tests.ops.rows import (
    ROWS,
    TEMPERATURES,
    compiled,
    compiled_gradients,
    draw_scores,
    mask,
)
from tests.sampled import unless

WIDE = ("logistic", "k_subset")  # that are tried in float64 by default
HARD_INPUTS = {
    "ties": [1, 1, 1, 0, -1, 2],
    "equal": [0.7] * 6,
    "one_forbidden": [1, -np.inf, 3, 0, 2, -2],
    "one_certain": [1, np.inf, 3, 0, 2, -2],
    "both": [-np.inf, np.inf, 3, 0, 2, -2],
    "forbidden_but_two": [-np.inf, -np.inf, 3, -np.inf, 2, -np.inf],
    "all_forbidden": [-np.inf] * 6,
    "all_certain": [np.inf] * 6,
    "offset": [1e8, 1e8 + 8, 1e8 - 8, 1e8, 1e8, 1e8],
    "tiny_spread": [1e-8, 2e-8, 3e-8, 0, -1e-8, -2e-8],
    "huge": [1e30, -1e30, 0, 1, 2, 3],
}


@pytest.mark.parametrize(
    ("name", "x64"),
    [
        *((name, False) for name in ROWS),
        *(pytest.param(name, True, marks=unless(name in WIDE)) for name in ROWS),
    ],
)
def test_nothing_is_nan(name, x64):
    """Value and gradient, under jit and vmap, over every hard input at once."""
    with jax.enable_x64(x64):
        dtype = jnp.float64 if x64 else jnp.float32
        grid = itertools.product(
            HARD_INPUTS.values(), (0, 1e-3, 2, 2.5, 5.999, 6), TEMPERATURES
        )
        columns = zip(*grid, strict=True)
        scores, k, temperature = (jnp.asarray(np.array(c), dtype) for c in columns)
        weights = jnp.cos(jnp.arange(6, dtype=dtype))
        one = lambda *p: weights @ ROWS[name].mask(*p)
        by = (0, 1, 2) if ROWS[name].real else (0,)  # k_subset has no temperature
        both = jax.jit(jax.vmap(jax.value_and_grad(one, by)))
        value, gradients = both(scores, k, temperature)
        for array in (value, *gradients):
            assert jnp.isfinite(array).all()


@rows()
def test_infinite_scores_come_first_and_last(name):
    scores = np.array([-np.inf, 0.3, np.inf, 0.1, 0.2] + 12 * [-np.inf], np.float32)
    m = mask(name, scores, 3, 1.0)
    np.testing.assert_allclose(m[[0, 2, *range(5, 17)]], [0, 1] + 12 * [0], atol=1e-6)
    assert (m[[1, 3, 4]] > 0.1).all()


@rows(FEW)
def test_debug_nans_finds_none(name):
    with jax.debug_nans(True):
        scores = jnp.asarray(draw_scores("wide", 17, 0))
        for k in (0.0, 3.0, 17.0):
            gradients = compiled_gradients(name)(
                scores, jnp.float32(k), jnp.float32(1e-3), jnp.cos(jnp.arange(17.0))
            )
            assert jnp.isfinite(gradients[0]).all()


@rows()
def test_one_compilation_serves_every_k_and_temperature(name):
    traces = 0

    @jax.jit
    def apply(scores, k, temperature):
        nonlocal traces
        traces += 1
        return ROWS[name].mask(scores, k, temperature)

    for k, temperature in itertools.product((0.0, 2.0, 6.0), (0.5, 1.0)):
        apply.eval_shape(jnp.arange(6.0), jnp.float32(k), jnp.float32(temperature))
    assert traces == 1


@rows(FEW)
def test_a_batch_is_its_rows(name):
    scores = np.stack([draw_scores("normal", 17, seed) for seed in range(6)])
    k = np.float32([0, 2, 5, 9, 16, 17])
    together = compiled(name)(scores.reshape(2, 3, 17), k.reshape(2, 3), np.float32(1))
    for row, alone in enumerate(together.reshape(6, 17)):
        np.testing.assert_allclose(mask(name, scores[row], k[row], 1), alone, atol=1e-6)


@rows(FEW)
def test_bfloat16_is_computed_in_float32(name):
    scores = jnp.asarray(draw_scores("normal", 17, 0), jnp.bfloat16)
    m = compiled(name)(scores, np.float32(5), np.float32(1))
    assert m.dtype == jnp.bfloat16
    wide = jnp.bfloat16(mask(name, scores.astype(jnp.float32), 5, 1))
    # One last place: k_subset divides by the temperature before it widens.
    np.testing.assert_allclose(np.float32(m), np.float32(wide), atol=2**-7)


@rows(FEW)
def test_gradient_survives_checkpoint_and_shard_map(name):
    scores = jnp.stack([draw_scores("normal", 6, seed) for seed in range(4)])
    row_loss = lambda s: jnp.square(ROWS[name].mask(s, 3.0, 1.0)).sum()

    mesh = jax.make_mesh((2,), ("d",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    total = jax.shard_map(
        lambda s: jax.lax.psum(jax.checkpoint(row_loss)(s), "d"),
        mesh=mesh,
        in_specs=spec("d"),
        out_specs=spec(),
    )
    both = jax.jit(lambda s: (jax.grad(row_loss)(s), jax.grad(total)(s)))
    plain, sharded = both(scores)
    np.testing.assert_allclose(sharded, plain, rtol=1e-5, atol=1e-6)
