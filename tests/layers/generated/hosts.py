"""Hosts made of random parts, and what of them can be told apart by construction."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import dynsparse
from tests.layers.generated.attention import WIDTH, Attention
from tests.layers.generated.maps import Draw, norm
from tests.layers.generated.mixers import Convolutions, Convolved, Mixer, Recurrent
from tests.layers.generated.tokens import Perceptron

BATCH, LENGTH, SIDE = 3, 5, 4


@dataclasses.dataclass(frozen=True)
class Generated:
    """A host, how it is called, and what of it can be gated.

    Attributes:
        told: The choices that made it, in words.
        host: The module; `host.parts` are its parts.
        call: A call, with a batch of three.
        fits: Granularities for which it has units or rows that can be told apart by
            construction, with the part that has the units.
        others: Granularities of which it has something alike that cannot.
    """

    told: str
    host: nnx.Module
    call: dynsparse.Call
    fits: dict[str, int | None]
    others: dict[str, int | None]


class Host(nnx.Module):
    """Parts in a row, each with a norm, a skip and a scale or without."""

    def __init__(self, draw, parts, rngs, grid):
        self.parts = nnx.List(parts)
        count, grid_axes = len(parts), 2 if grid else 1
        self.place = [draw.one("norm", "pre", "pre", "post", "no") for _ in parts]
        self.norms = nnx.List([Norm(draw, rngs) for _ in parts])
        self.skips = [True] * (count - 1) + [draw.one("skip", True, True, False)]
        self.scales = nnx.List(
            [nnx.Param(1 + 0.1 * rngs.params.normal((WIDTH,))) for _ in parts]
        )
        self.scaled = [draw.one("scale", "no", "no", "vector", "number") for _ in parts]
        self.remat = draw.one("remat", "no", "no", "no", "nnx", "jax")
        self.reads = draw.one("reads", "x", "x", "x", "condition", "mask", "flag")
        ways = "shift", "registers", "reversed", "places"
        self.before = "no" if grid else draw.one("before", *["no"] * 6, *ways)
        counted = any(isinstance(part, Mixer) for part in parts)
        if self.before == "registers" and (counted or self.reads == "mask"):
            self.before = "no"  # what is read knows how many tokens there are
        self.gives = draw.one("gives", *["x"] * 4, "tuple", "dict", "pair")
        self.half = draw.one("type", "float32", "float32", "float32", "bfloat16")
        self.table = nnx.Param(0.3 * rngs.params.normal((16, WIDTH)))
        self.modulation = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.between = (1,) * grid_axes

    def __call__(self, x, condition=None, *, mask=None, scale=None, train=False):
        given = x.dtype
        x = self.prepared(x.astype(self.half))
        for i in range(len(self.parts)):
            y = self.run(i, x, condition, mask)
            if self.scaled[i] == "vector":
                y = y * self.scales[i][...].reshape([1] * (y.ndim - 1) + [-1])
            if self.scaled[i] == "number":
                y = 0.7 * y
            if scale is not None:
                y = y * scale
            x = (x + y if self.skips[i] else y).astype(self.half)
        if self.before == "registers":
            x = x[:, 2:]
        x = x.astype(given)
        if self.gives == "dict":
            return dict(hidden=x, others=None)
        if self.gives == "pair":
            return x, x.mean(-1)
        return (x,) if self.gives == "tuple" else x

    def prepared(self, x):
        """What is done to the tokens before the parts."""
        if self.before == "no":
            return x
        if self.before == "shift":
            return x + jnp.concatenate([jnp.zeros_like(x[:, :1]), x[:, :-1]], 1)
        if self.before == "registers":
            more = jnp.broadcast_to(self.table[:2][None], (len(x), 2, WIDTH))
            return jnp.concatenate([more.astype(x.dtype), x], 1)
        if self.before == "reversed":
            return x[:, ::-1]
        own = self.parts[0].places
        places = jnp.arange(x.shape[1])[None] if own is None else own[...]
        return (x + self.table[...][places]).astype(x.dtype)

    @property
    def skipped(self):
        """Whether the input reaches the result by additions alone."""
        return all(self.skips) and self.before != "reversed"

    def run(self, i, x, condition, mask):
        place, own = self.place[i], self.norms[i]
        x = own(x) if place == "pre" else x
        if condition is not None:
            change = self.modulation(jax.nn.silu(condition))
            shape = len(x), *self.between, WIDTH
            add, times = (c.reshape(shape) for c in jnp.split(change, 2, -1))
            x = (x * (1 + times) + add).astype(x.dtype)
        if self.remat == "nnx":
            y = nnx.remat(lambda part, x: part(x, mask=mask))(self.parts[i], x)
        elif self.remat == "jax":
            graphdef, state = nnx.split(self.parts[i])
            run = lambda state, x: nnx.merge(graphdef, state)(x, mask=mask)
            y = jax.checkpoint(run)(state, x)
        else:
            y = self.parts[i](x, mask=mask)
        return own(y) if place == "post" else y


class Norm(nnx.Module):
    """A norm of features, or none."""

    def __init__(self, draw, rngs):
        self.norm = norm(draw, WIDTH, rngs)

    def __call__(self, x):
        return self.norm(x)


_TOKENS = (Perceptron, Perceptron, Perceptron, Attention, Attention, Attention)
_TOKENS += (Recurrent, Convolved, Mixer)
_PIXELS = Convolutions, Convolutions, Perceptron


def generated(seed):
    """Makes a host by a seed."""
    draw, rngs = Draw(seed), nnx.Rngs(seed)
    grid = draw.one("input", "tokens", "tokens", "image") == "image"
    names = {kind.__name__: kind for kind in (_PIXELS if grid else _TOKENS)}
    many = [kind.__name__ for kind in (_PIXELS if grid else _TOKENS)]
    count = draw.one("parts", 1, 1, 2, 3)
    parts = [names[draw.one("part", *many)](draw, rngs) for _ in range(count)]
    host = Host(draw, parts, rngs, grid)
    shape = (BATCH, SIDE, SIDE, WIDTH) if grid else (BATCH, LENGTH, WIDTH)
    x = jax.random.normal(jax.random.key(seed), shape)
    fits: dict[str, Any] = dict(blocks=None)
    others: dict[str, Any] = {}
    for i, part in enumerate(parts):
        for kind in part.kinds:
            rows_of_input = kind != "neurons" or host.before != "registers"
            known = part.units is not None and rows_of_input
            (fits if known else others)[kind] = i
    if not grid:
        single = host.gives in ("x", "tuple", "dict")
        apart = all(part.attends for part in parts) and single
        apart = apart and host.before in ("no", "places", "registers")
        (fits if apart else others)["bypass"] = None
    others = {kind: i for kind, i in others.items() if kind not in fits}
    return Generated(", ".join(draw.told), host, _call(host, x), fits, others)


def _call(host, x):
    if host.reads == "condition":
        return dynsparse.call(x, x.mean(range(1, x.ndim - 1)) + 1)
    if host.reads == "flag":
        return dynsparse.call(x, scale=1.5, train=False)
    if host.reads == "mask" and x.ndim == 3:
        seen = jnp.tril(jnp.ones((x.shape[1],) * 2, bool)) | (jnp.arange(5) < 2)
        return dynsparse.call(x, mask=jnp.broadcast_to(seen, (len(x), *seen.shape)))
    return dynsparse.call(x)


def reader_of(found, kind):
    """Path of the parameter that reads the units of a granularity."""
    parts = found.host.parts
    index = found.fits.get(kind, found.others.get(kind))
    return None if index is None else f"parts/{index}/{parts[index].reader}"
