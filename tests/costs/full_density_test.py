"""The bill at full density: free of deciding, unless scores may still close a unit."""

import jax
import pytest
from flax import nnx

from dynsparse import costs
from dynsparse.gates import evaluating
from tests.layers.small_layers import build, inputs
from tests.sampled import sampled

LAYERS = ("bypass", "channels", "features", "neurons", "positions", "tokens")


class MayForbid(nnx.Module):
    """A scorer of which nobody knows that its scores are finite."""

    def __init__(self, scorer):
        self.scorer = scorer

    def __call__(self, features):
        return self.scorer(features)


@pytest.mark.parametrize("layer", sampled(LAYERS, ["tokens"]))
def test_deciding_at_full_density_is_billed_where_scores_may_forbid(layer):
    module, x = build(layer, "soft_topk"), inputs(layer, 2)
    sure = costs.bill(evaluating(module, density=1.0), x)
    assert (sure.used == sure.dense).all()
    module.scorer = MayForbid(module.scorer)
    view = evaluating(module, execution="compact", density=1.0)
    bill = costs.bill(view, x)
    (share,) = bill.layers.values()
    assert (share.gate > 0).all()
    if layer != "neurons":  # whose capacities are counted at their largest, each
        example = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
        assert (bill.used == costs.count_macs(view, example)).all()
    if layer != "positions":  # where tiles overlap in what they read
        assert (bill.used == bill.dense + share.gate).all()
