"""The groups of the optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dynsparse.layers import Mlp, gated
from dynsparse.training.optimizer import gated_layers, group_of, make_optimizer
from dynsparse.training.settings import GateOptimizerSettings, OptimizerSettings


class Glu(nnx.Module):
    """A layer of the model itself, whose parts are called as those of gated layers."""

    def __init__(self, rngs):
        self.host = nnx.Linear(2, 2, rngs=rngs)
        self.gate = nnx.Linear(2, 2, rngs=rngs)
        self.scorer = nnx.Linear(2, 2, rngs=rngs)


class Net(nnx.Module):
    def __init__(self, rngs):
        self.gate = Glu(rngs)
        mlp = Mlp.create(width=2, hidden=4, rngs=rngs)
        self.blocks = nnx.List(
            [
                gated(
                    mlp,
                    granularity="neurons",
                    num_blocks=2,
                    gate=dict(name="learned_threshold", temperature=1.0, threshold=0.0),
                    scorer=dict(name="linear"),
                    rngs=rngs,
                )
            ]
        )
        self.blocks[0].host.gate = nnx.Linear(2, 2, rngs=rngs)


@pytest.fixture(scope="module")
def model():
    return Net(nnx.Rngs(0, gate=1))


def parameters(model):
    return nnx.to_pure_dict(nnx.state(model, nnx.Param))


def test_what_a_layer_is_called_does_not_matter(model):
    groups = group_of(parameters(model), gated_layers(model))
    found = {
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, group in jax.tree_util.tree_leaves_with_path(groups)
        if group == "gates"
    }
    scorer = ("norm/bias", "norm/scale", "score/bias", "score/kernel")
    assert found == {
        "blocks/0/gate/threshold",
        *(f"blocks/0/scorer/{name}" for name in scorer),
    }


def test_without_a_model_what_holds_a_host_is_a_gated_layer():
    block = dict(host=dict(gate=0), scorer=dict(kernel=0), gate=dict(threshold=0))
    assert group_of(dict(block=block, head=dict(gate=dict(kernel=0)))) == dict(
        block=dict(
            host=dict(gate="weights"),
            scorer=dict(kernel="gates"),
            gate=dict(threshold="gates"),
        ),
        head=dict(gate=dict(kernel="weights")),
    )


def test_gates_and_scorers_are_a_group_of_their_own(model):
    params = jax.tree.map(jnp.ones_like, parameters(model))
    transform = make_optimizer(
        OptimizerSettings(
            learning_rate=0.1, warmup_steps=0, weight_decay=0.0, clip_norm=1.0
        ),
        GateOptimizerSettings(learning_rate_scale=0.5, weight_decay=0.2),
        10,
        model,
    )
    zero = jax.tree.map(jnp.zeros_like, params)
    update = lambda zero, params: transform.update(zero, transform.init(params), params)
    updates, _ = jax.jit(update)(zero, params)
    block = updates["blocks"][0]
    np.testing.assert_array_equal(updates["gate"]["gate"]["kernel"], 0)
    np.testing.assert_array_equal(block["host"]["up"]["kernel"], 0)
    decayed = -0.1 * 0.5 * 0.2 * np.ones((2, 2))  # rate x scale x decay x weight
    np.testing.assert_allclose(block["scorer"]["score"]["kernel"], decayed, rtol=1e-5)
    np.testing.assert_array_equal(block["scorer"]["score"]["bias"], 0)  # a vector
    np.testing.assert_array_equal(block["gate"]["threshold"], 0)
