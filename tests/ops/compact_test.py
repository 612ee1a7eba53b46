"""Properties of gather, scatter and the capacity switch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynsparse import ops


@pytest.mark.parametrize("size", [0, 1, 3, 5])
def test_open_units_come_first_each_group_in_order(size):
    mask = jnp.array([[0.0, 1.0, 0.0, 0.3, 1.0], [1.0, 0.0, 0.0, 0.0, 1.0]])
    expected = np.array([[1, 3, 4, 0, 2], [0, 4, 1, 2, 3]])[:, :size]
    np.testing.assert_array_equal(ops.open_indices(mask, size), expected)


def test_scatter_undoes_gather(key):
    units = jax.random.normal(key, (3, 6, 2, 4))
    indices = jnp.array([[5, 0, 2], [1, 3, 4], [0, 1, 2]])
    kept = ops.gather(units, indices)
    np.testing.assert_array_equal(kept[1, 2], units[1, 4])
    filled = ops.scatter(kept, indices, jnp.zeros_like(units))
    chosen = np.zeros((3, 6, 1, 1))
    np.put_along_axis(chosen[..., 0, 0], np.asarray(indices), 1, axis=1)
    np.testing.assert_array_equal(filled, units * chosen)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 64, 100])
def test_capacities_run_from_none_to_all_in_eighths(size):
    sizes = ops.capacities(size)
    assert (sizes[0], sizes[-1]) == (0, size)
    assert len(sizes) <= 9
    assert 0 < max(np.diff(sizes)) <= -(-size // 8)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_every_count_runs_the_smallest_capacity_that_holds_it(batch):
    sizes = ops.capacities(batch)
    run = jax.jit(lambda count: ops.capacity_switch(count, sizes, jnp.int32))
    for count in range(batch + 1):
        assert run(count) == min(size for size in sizes if size >= count)
