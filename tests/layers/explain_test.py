"""What can be gated is told before anything is."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import dynsparse
from dynsparse import costs
from tests.layers.zoo.zoo import ZOO
from tests.sampled import unless

full = functools.partial(pytest.param, marks=unless(False))


@pytest.fixture(autouse=True)
def as_public_models_run():
    """Settings of JAX that others write their models for."""
    with jax.numpy_rank_promotion("allow"):
        yield


class Net(nnx.Module):
    """Three blocks and a head, called as the model is."""

    def __init__(self, make):
        self.layers = nnx.List([make(nnx.Rngs(i)) for i in range(3)])
        self.head = nnx.Linear(16, 10, rngs=nnx.Rngs(3))

    def __call__(self, x, *args, **kwargs):
        for layer in self.layers:
            x = layer(x, *args, **kwargs)
            x = x[0] if isinstance(x, tuple) else x
        return self.head(x)


@functools.cache
def rows(name):
    model = Net(ZOO[name].make)
    found = dynsparse.explain(model, ZOO[name].call)
    assert found.macs == costs.count_macs(model, ZOO[name].call.one_example())
    return {(row.path, row.granularity): row for row in found.rows}, found


@pytest.mark.parametrize(
    ("name", "granularity", "units", "macs", "reader"),
    [
        ("dit", "heads", 4, 6 * 16 * (4 * 16 + 2 * 6), "out/kernel"),
        full("llama", "neurons", 48, 6 * 3 * 16 * 48, "mlp/down_proj/kernel"),
        full("vit", "neurons", 32, 6 * 2 * 16 * 32, "linear2/kernel"),
        ("bottleneck", "channels", 8, 16 * 8 * (9 * 8 + 16), "conv2/kernel"),
        ("mamba", "neurons", 32, 6 * 16 * 32, "out_proj/kernel"),
    ],
)
def test_units_are_told_with_what_they_cost(name, granularity, units, macs, reader):
    row = rows(name)[0]["layers/*", granularity]
    assert (row.count, row.units, row.note) == (3, units, reader)
    assert row.macs == 3 * macs


def test_examples_skip_blocks_that_keep_their_shape():
    found, _ = rows("excited")
    assert found["layers/*", "blocks"].units == 1
    assert "no result has the shape" in found["", "blocks"].note


def test_what_rows_cannot_differ_in_is_a_width():
    row = rows("excited")[0]["layers/*", "width"]
    assert row.units == 32
    assert row.note.startswith("project/kernel (channels: a sum over the units")


def test_printed_it_is_a_table():
    lines = str(rows("bottleneck")[1]).splitlines()
    assert lines[0].split()[:5] == ["module", "granularity", "units", "MACs", "share"]
    assert lines[-1].startswith("the model: ")


def test_a_module_that_is_not_called_says_so():
    class Unused(nnx.Module):
        def __init__(self):
            self.used, self.rest = (ZOO["adapted"].make(nnx.Rngs(0)) for _ in "ab")

        def __call__(self, x):
            return self.used(x)

    found = dynsparse.explain(Unused(), jnp.ones((2, 3, 16)))
    notes = {row.path: row.note for row in found.rows}
    assert notes["rest"] == "the example never calls it"
