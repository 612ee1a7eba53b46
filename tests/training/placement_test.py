"""Data parallelism: a batch over two devices is one batch."""

import json

import jax
import numpy as np
import pytest

from dynsparse import training
from dynsparse.training.placement import Placement
from tests.sampled import sampled
from tests.training import tiny

pytestmark = pytest.mark.usefixtures("optimized")
ARGUMENTS = ("soft_topk,,sandwich", "gumbel_sigmoid,,pi_controller", "ema_threshold")


def run(argument, folder, **changes):
    """A whole tiny training: its last state and the rows of its metrics."""
    experiment = training.prepare(tiny.config(argument, train__log_every=1, **changes))
    state = training.train(experiment, folder)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return state, [json.loads(line) for line in lines]


@pytest.mark.parametrize("argument", sampled(ARGUMENTS, ["ema_threshold"]))
def test_two_devices_train_what_one_does(argument, tmp_path):
    one, rows = run(argument, tmp_path / "one")
    two, others = run(argument, tmp_path / "two", train__num_devices=2)
    for row, other in zip(rows, others, strict=True):
        assert row.keys() == other.keys()
        for name in ("loss", "density", "budget") if row["split"] == "train" else ():
            np.testing.assert_allclose(row[name], other[name], rtol=2e-4)
    for a, b in zip(
        jax.tree.leaves(one["params"]), jax.tree.leaves(two["params"]), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-3)
    assert {len(leaf.devices()) for leaf in jax.tree.leaves(two)} == {1}


def test_each_device_has_the_state_and_a_part_of_the_batch():
    placement = Placement(num_devices=2, batch_size=6)
    state = dict(params=jax.numpy.arange(4.0))
    spread = placement.spread(state)["params"]
    assert [shard.data.shape for shard in spread.addressable_shards] == [(4,), (4,)]
    divided = placement.divide(dict(x=np.arange(12).reshape(6, 2)))["x"]
    parts = [np.asarray(shard.data) for shard in divided.addressable_shards]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(12).reshape(6, 2))
    assert [part.shape for part in parts] == [(3, 2), (3, 2)]
    assert len(placement.gather(dict(x=spread))["x"].devices()) == 1
