"""Hosts that know nothing of gates, how they are called, and what fits them."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import dynsparse
from tests.layers.zoo import experts, images, tokens


class Net(nnx.Module):
    """A model with one part, called as the model is."""

    def __init__(self, part):
        self.part = part

    def __call__(self, *args, **kwargs):
        return self.part(*args, **kwargs)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A host and how it is called.

    Attributes:
        make: Builds it.
        call: A call, with a batch of three.
        fits: Granularities that make sense for it, with their rules.
    """

    make: Callable[[nnx.Rngs], nnx.Module]
    call: dynsparse.Call
    fits: dict[str, dict[str, Any]]


LENGTH = 6
_TOKENS = jax.random.normal(jax.random.key(0), (3, LENGTH, 16))
_IMAGE = jax.random.normal(jax.random.key(1), (3, 4, 4, 16))
_PLACES = jnp.broadcast_to(jnp.arange(LENGTH), (3, LENGTH))
_CAUSAL = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
_CACHE = {key: jnp.ones((3, 2, 2, 8)) for key in "kv"}
_SEEN = jnp.concatenate([jnp.ones((LENGTH, 2), bool), _CAUSAL], 1)
_MLP = dict(neurons=dict(num_blocks=4), width=dict(num_slices=4))


def _fits(reader: str | None = None, **rules: Any) -> dict[str, dict[str, Any]]:
    heads = {} if reader is None else dict(heads=dict(units=reader))
    return dict(blocks={}, **heads, **_MLP, **rules)


call = dynsparse.call
_CHANNELS = dict(channels=dict(num_groups=4))
ZOO = dict(
    llama=Entry(
        tokens.LlamaBlock,
        call(_TOKENS, _PLACES, mask=_CAUSAL),
        _fits("attn/o_proj/kernel"),
    ),
    llama_cache=Entry(
        tokens.LlamaBlock,
        call(_TOKENS, _PLACES + 2, mask=_SEEN, cache=_CACHE),
        _fits("attn/o_proj/kernel"),
    ),
    vit=Entry(
        tokens.VitBlock,
        call(_TOKENS, rngs=None),
        _fits("attn/out/kernel", bypass={}),
    ),
    cross=Entry(
        tokens.CrossBlock,
        call(_TOKENS, _TOKENS[:, ::-1] + 1, mask=_CAUSAL),
        _fits("cross/out/kernel", bypass={}),
    ),
    convnext=Entry(images.ConvNextBlock, call(_IMAGE, rngs=None, train=False), _fits()),
    excited=Entry(
        images.InvertedBottleneck,
        call(_IMAGE, training=False),
        dict(blocks={}, width=dict(num_slices=4)),
    ),
    inverted=Entry(
        lambda rngs: images.InvertedBottleneck(rngs, excite=False),
        call(_IMAGE, training=False),
        dict(blocks={}, width=dict(num_slices=4), **_CHANNELS),
    ),
    bottleneck=Entry(images.Bottleneck, call(_IMAGE), dict(blocks={}, **_CHANNELS)),
    vgg=Entry(images.Vgg, call(_IMAGE), dict(width=dict(num_slices=4), **_CHANNELS)),
    dense=Entry(images.DenseBlock, call(_IMAGE), _CHANNELS),
    unet=Entry(images.UNet, call(_IMAGE), _CHANNELS),
    mamba=Entry(tokens.Mamba, call(_TOKENS, state=None), _fits()),
    dit=Entry(
        tokens.DitBlock,
        call(_TOKENS, _TOKENS[:, 0]),
        _fits("out/kernel", bypass={}),
    ),
    adapted=Entry(tokens.Adapted, call(_TOKENS), _fits(bypass={})),
    remat=Entry(tokens.Rematerialised, call(_TOKENS), _fits()),
    routed=Entry(experts.RoutedMoE, call(_TOKENS), _fits(experts={})),
    sparse_moe=Entry(
        experts.SparseMoeBlock, call(_TOKENS), _fits(experts={}, bypass={})
    ),
)
