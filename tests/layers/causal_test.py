"""Causal twins of models that take more than one array."""

import jax
import numpy as np
from flax import nnx

import dynsparse
from dynsparse import layers

TOKENS, WIDTH = 6, 4


class Named(nnx.Module):
    """A gated block behind two inputs, one of them in a dict, and a flag."""

    def __init__(self, seed=0):
        rngs = nnx.Rngs(seed, gate=seed + 1)
        block = layers.TransformerBlock(
            width=WIDTH, num_heads=2, mlp_width=8, causal=True, rngs=rngs
        )
        self.block = layers.gated(
            block,
            granularity="bypass",
            gate=dict(name="hard_topk", density=0.5),
            scorer=dict(name="linear"),
            width=WIDTH,
            num_tokens=TOKENS,
            rngs=rngs,
        )

    def __call__(self, inputs, *, shift, train):
        if train:
            raise ValueError("twins are found in evaluation")
        return dict(y=self.block(inputs["x"] + shift))


class Plain(Named):
    def __call__(self, x):
        return self.block(x)


def test_twins_of_calls_are_those_of_arrays():
    xs = jax.random.normal(jax.random.key(0), (3, 5, TOKENS, WIDTH))
    calls = [dynsparse.call(dict(x=x - 1), shift=x * 0 + 1, train=False) for x in xs]
    named, plain = layers.causal_twins(Named(), calls), layers.causal_twins(Plain(), xs)
    found = [jax.tree.leaves(nnx.state(model.block.gate)) for model in (named, plain)]
    assert any(np.abs(leaf).max() > 0 for leaf in found[0])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert type(named.block.gate).__name__ == "EmaThreshold"
