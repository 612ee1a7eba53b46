"""Attention of random hosts, drawn by a seed."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from tests.layers.generated.maps import HandNorm, Part, linear

WIDTH = 8


def rotary(way, x, places):
    """Rotates pairs of [batch, n, heads, head] by places [batch or 1, n]."""
    half = x.shape[-1] // 2
    angle = places[..., None] / 100.0 ** (jnp.arange(half) / half)
    sin, cos = jnp.sin(angle)[:, :, None], jnp.cos(angle)[:, :, None]
    if way == "halves":
        a, b = jnp.split(x, 2, -1)
        return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
    if way == "strided":
        a, b = x[..., ::2], x[..., 1::2]
        return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)
    if way == "rotated":
        turned = jnp.concatenate([-x[..., half:], x[..., :half]], -1)
        two = lambda y: jnp.concatenate([y, y], -1)
        return x * two(cos) + turned * two(sin)
    pairs = x.reshape(*x.shape[:-1], half, 2)
    a, b = pairs[..., 0], pairs[..., 1]
    return jnp.stack([a * cos - b * sin, a * sin + b * cos], -1).reshape(x.shape)


class Attention(Part):
    """Heads, in groups that share keys and values or not."""

    kinds = ("heads",)
    attends = True
    head = 4

    def __init__(self, draw, rngs):
        self.heads, self.units = draw.one("heads", (4, 4), (4, 2), (2, 2), (4, 1))
        self.pack = draw.one("qkv", "apart", "apart", "split", "slices", "stacked")
        if self.pack == "stacked" and self.heads != self.units:
            self.pack = "split"
        groups = self.units
        self.units = self.heads if groups == 1 else groups
        sizes = self.sizes = [n * self.head for n in (self.heads, groups, groups)]
        if self.pack == "apart":
            self.q, self.k, self.v = (linear(draw, WIDTH, n, rngs, "q") for n in sizes)
        else:
            self.qkv = linear(draw, WIDTH, sum(sizes), rngs, "qkv")
        self.rotates = draw.one("rotary", "no", "halves", "rotated", "pairs", "strided")
        self.normed = draw.one("normed", "no", "no", "no", "root", "centred", "unit")
        self.q_norm = HandNorm(self.head, self.normed, rngs)
        self.shared = draw.one("shared", "repeat", "groups", "broadcast", "tile")
        self.inner = draw.one("product", "einsum", "matmul")
        self.seen = draw.one("seen", "all", "all", "causal", "tril", "added", "asked")
        self.weigh = draw.one(
            "weigh",
            "softmax",
            "by hand",
            "float",
            "capped",
            "flax",
            "where",
            "sink",
            "bias",
        )
        self.gates = draw.one("gates", "no", "no", "sigmoid")
        if self.gates != "no":
            self.gate = linear(draw, WIDTH, sizes[0], rngs, "gate")
        self.ends = draw.one("out", "linear", "linear", "axes", "einsum", "nnx")
        self.sink = nnx.Param(rngs.params.normal((self.heads,)))
        self.bias = nnx.Param(rngs.params.normal((self.heads, 16)))
        args = self.heads, self.head, WIDTH
        self.reader = "out/kernel"
        if self.ends == "linear":
            self.out = linear(draw, sizes[0], WIDTH, rngs, "out")
        elif self.ends == "axes":
            self.out = nnx.LinearGeneral(args[:2], WIDTH, axis=(-2, -1), rngs=rngs)
        elif self.ends == "nnx":
            self.out = nnx.Einsum("bnhd,hde->bne", args, rngs=rngs)
        else:
            self.reader = "kernel"
            self.kernel = nnx.Param(0.4 * rngs.params.normal(args))

    def __call__(self, x, mask=None, **others):
        b, n, _ = x.shape
        q, k, v = (y.reshape(b, n, -1, self.head) for y in self.three(x))
        own = self.places
        places = jnp.arange(n)[None] if own is None else own[...]
        if self.normed != "no":
            q, k = self.q_norm(q), self.q_norm(k)
        if self.rotates != "no":
            q, k = (rotary(self.rotates, y, places) for y in (q, k))
        bias = self.bias[...][:, jnp.clip(places[:, :, None] - places[:, None], -8, 7)]
        bias = bias.swapaxes(0, 1) if self.weigh == "bias" else None
        y = self.attended(q, k, v, self.visible(places, mask), bias)
        y = checkpoint_name(y, "attended")
        if self.gates == "sigmoid":
            y = y * jax.nn.sigmoid(self.gate(x)).reshape(y.shape)
        if self.weights is not None:
            y = y.reshape(b, n, self.units, -1)
            y = self.weighed(y, 2).reshape(b, n, self.heads, self.head)
        if self.ends == "linear":
            return self.out(y.reshape(b, n, -1))
        if self.ends == "einsum":
            return jnp.einsum("bnhd,hde->bne", y, self.kernel[...])
        return self.out(y)

    def three(self, x):
        if self.pack == "apart":
            return self.q(x), self.k(x), self.v(x)
        y, sizes = self.qkv(x), self.sizes
        ends = [sizes[0], sizes[0] + sizes[1]]
        if self.pack == "split":
            return jnp.split(y, ends, -1)
        if self.pack == "slices":
            return y[..., : ends[0]], y[..., ends[0] : ends[1]], y[..., ends[1] :]
        y = y.reshape(*y.shape[:-1], 3, self.heads, self.head)
        return jnp.moveaxis(y, -3, 0)

    def visible(self, places, mask):
        """What each token sees: [batch or 1, n, n], or None for all."""
        n = places.shape[1]
        if self.seen == "all" or (self.seen == "asked" and mask is None):
            return None
        if self.seen == "asked":
            return mask
        if self.seen == "tril" and self.places is None:
            return jnp.tril(jnp.ones((n, n), bool))[None]
        return places[:, :, None] >= places[:, None, :]

    def attended(self, q, k, v, seen, bias):
        b, n, heads, head = q.shape
        groups = k.shape[2]
        if self.weigh == "flax" and heads == groups:
            seen = None if seen is None else seen[:, None]
            return jax.nn.dot_product_attention(q, k, v, mask=seen)
        if self.shared == "groups":
            q = q.reshape(b, n, groups, heads // groups, head)
            logits = jnp.einsum("bqkgh,bskh->bkgqs", q, k).reshape(b, heads, n, -1)
        else:
            k, v = (self.repeated(y, heads // groups) for y in (k, v))
            if self.inner == "einsum":
                logits = jnp.einsum("bqhd,bkhd->bhqk", q, k)
            else:
                logits = q.swapaxes(1, 2) @ k.transpose(0, 2, 3, 1)
        logits = logits if bias is None else logits + bias
        weights = self.softmax(logits * head**-0.5, seen).astype(v.dtype)
        if self.shared == "groups":
            weights = weights.reshape(b, groups, heads // groups, n, -1)
            y = jnp.einsum("bkgqs,bskh->bqkgh", weights, v)
            return y.reshape(b, n, heads, head)
        if self.inner == "einsum":
            return jnp.einsum("bhqk,bkhd->bqhd", weights, v)
        return (weights @ v.swapaxes(1, 2)).swapaxes(1, 2)

    def repeated(self, y, times):
        if times == 1:
            return y
        if self.shared == "repeat":
            return jnp.repeat(y, times, axis=2)
        if self.shared == "tile":
            return jnp.tile(y, (1, 1, times, 1))
        b, n, groups, head = y.shape
        y = jnp.broadcast_to(y[:, :, :, None], (b, n, groups, times, head))
        return y.reshape(b, n, -1, head)

    def softmax(self, logits, seen):
        if self.weigh == "capped":
            logits = 5 * jnp.tanh(logits / 5)
        if seen is not None and self.seen == "added":
            logits = logits + jnp.where(seen, 0.0, -1e9)[:, None]
        elif seen is not None:
            logits = jnp.where(seen[:, None], logits, -1e30)
        if self.weigh == "where" and seen is not None:
            return jax.nn.softmax(logits, -1, where=seen[:, None])
        if self.weigh == "sink":
            sink = self.sink[...][None, :, None, None].astype(logits.dtype)
            sink = jnp.broadcast_to(sink, (*logits.shape[:-1], 1))
            return jax.nn.softmax(jnp.concatenate([logits, sink], -1), -1)[..., :-1]
        if self.weigh == "by hand":
            weights = jnp.exp(logits - logits.max(-1, keepdims=True))
            return weights / weights.sum(-1, keepdims=True)
        if self.weigh == "float":
            logits = logits.astype(jnp.float32)
        return jax.nn.softmax(logits, -1)
