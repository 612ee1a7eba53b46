"""Sums of parts: exact for every mask, and no dearer than the capacities say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import ops

WEIGHTS = jax.random.normal(jax.random.key(0), (3, 4, 5))


def part(index, rows):
    x, scale = rows
    return jnp.sin(x @ WEIGHTS[index]) * scale[:, None]


@jax.jit
def sum_of_parts(rows, mask):
    start = jnp.full((len(mask), 5), 0.5)
    return ops.sum_of_parts(rows, mask, part, start, ops.capacities(len(mask)))


@pytest.mark.parametrize("density", [0.0, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("n", [1, 7, 40])
def test_sum_is_that_of_the_open_pairs(n, density):
    draw = np.random.default_rng(n)
    rows = np.float32(draw.normal(size=(n, 4))), np.float32(draw.normal(size=n))
    mask = np.float32(draw.uniform(size=(n, 3)) * (draw.uniform(size=(n, 3)) < density))
    total = sum_of_parts(rows, mask)
    x, scale = map(np.asarray, rows)
    each = np.sin(np.einsum("ni,pio->npo", x, WEIGHTS)) * scale[:, None, None]
    expected = 0.5 + np.einsum("np,npo->no", mask, each)
    np.testing.assert_allclose(total, expected, atol=1e-5)


def test_a_row_without_a_number_stays_alone():
    x = jnp.ones((6, 2)).at[2].set(jnp.nan)
    mask = (jnp.arange(6)[:, None] >= 2).astype(jnp.float32)  # 2 is the first open one
    total = ops.sum_of_parts(x, mask, lambda _, rows: rows, jnp.zeros((6, 2)), [4])
    expected = [0, 0, jnp.nan, 1, 1, 1]
    np.testing.assert_array_equal(total, jnp.stack([jnp.array(expected)] * 2, -1))


@pytest.mark.parametrize("steps", [1, 4, 16])
def test_each_part_runs_the_smallest_capacity_that_holds_its_rows(steps):
    sizes = []

    def ran(index, rows):
        jax.debug.callback(lambda: sizes.append((index, len(rows))))
        return rows

    mask = (jnp.arange(32)[:, None] < jnp.array([[0, 5, 32]])).astype(jnp.float32)
    x = jnp.ones((32, 2))
    capacities = ops.capacities(32, steps)
    jax.jit(lambda x: ops.sum_of_parts(x, mask, ran, x, capacities))(x)
    jax.effects_barrier()
    smallest = min(c for c in capacities if c >= 5)
    assert sorted(sizes) == [(1, smallest), (2, 32)]


def test_gradients_are_those_of_the_dense_sum(key):
    rows = jax.random.normal(key, (9, 4)), jnp.ones(9)
    mask = (jax.random.uniform(key, (9, 3)) < 0.5).astype(jnp.float32)
    start = jnp.zeros((9, 5))
    sizes = ops.capacities(9)
    compact = lambda x: ops.sum_of_parts((x, rows[1]), mask, part, start, sizes)
    dense = lambda x: sum(mask[:, p, None] * part(p, (x, rows[1])) for p in range(3))
    square = lambda function: lambda x: jnp.square(function(x)).sum()
    loss = lambda function: jax.jit(jax.grad(square(function)))(rows[0])
    np.testing.assert_allclose(loss(compact), loss(dense), atol=1e-5)
