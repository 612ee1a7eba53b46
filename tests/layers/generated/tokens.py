"""Perceptrons of random hosts, drawn by a seed."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from tests.layers.generated.maps import HandNorm, Part, activation, linear

WIDTH, HIDDEN = 8, 16
PACKED = "split", "slices", "pairs", "inner", "strided"


def two_of(way, y):
    """Takes two of the hidden width out of twice that width."""
    half = y.shape[-1] // 2
    if way == "split":
        return jnp.split(y, 2, -1)
    if way == "slices":
        return y[..., half:], y[..., :half]
    if way == "strided":
        return y[..., ::2], y[..., 1::2]
    pair = y.reshape(*y.shape[:-1], *((2, half) if way == "pairs" else (half, 2)))
    if way == "pairs":
        return pair[..., 0, :], pair[..., 1, :]
    return pair[..., 0], pair[..., 1]


class Perceptron(Part):
    """Hidden units, gated or not."""

    kinds = ("neurons", "width")
    attends = True  # tokens do not see each other
    reader = "down/kernel"

    def __init__(self, draw, rngs):
        self.way = draw.one("mlp", "plain", "plain", "gated", *PACKED)
        self.inner = draw.one(
            "inner",
            *["none"] * 4,
            "dropout",
            "scale",
            "half",
            "norm",
            "heads",
            "where",
            "named",
            "sharded",
            "clip",
            "mixed",
        )
        if self.inner != "norm":
            self.units = HIDDEN
        self.act = activation(draw)
        packed = self.way in PACKED
        self.up = linear(draw, WIDTH, HIDDEN * (1 + packed), rngs, "up")
        if self.way == "gated":
            self.side = linear(draw, WIDTH, HIDDEN, rngs, "side")
        self.down = linear(draw, HIDDEN, WIDTH, rngs, "down")
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.scale = nnx.Param(1 + 0.1 * rngs.params.normal((HIDDEN,)))
        self.norm = HandNorm(HIDDEN, "root", rngs)
        self.mix = nnx.Param(0.5 * rngs.params.normal((4, 4, 4)))
        self.order = draw.one("order", "as it is", "turned", "flat")

    def __call__(self, x, **others):
        if self.order == "turned":
            x = x.swapaxes(0, -2)
        if self.order == "flat":
            x, shape = x.reshape(-1, x.shape[-1]), x.shape
        y = self.up(x)
        if self.way == "gated":
            y = self.act(self.side(x)) * y
        elif self.way == "plain":
            y = self.act(y)
        else:
            y, side = two_of(self.way, y)
            y = self.act(side) * y
        y = self.changed(y)
        if self.order == "turned":
            y = y.swapaxes(0, -2)
        if self.order == "flat":
            y = y.reshape(*shape[:-1], -1)
        return self.down(self.weighed(y, y.ndim - 1))

    def changed(self, y):
        if self.inner == "dropout":
            return self.dropout(y, deterministic=True)
        if self.inner == "scale":
            return y * self.scale[...].reshape([1] * (y.ndim - 1) + [-1])
        if self.inner == "half":
            return y.astype(jnp.bfloat16).astype(y.dtype)
        if self.inner == "norm":
            return self.norm(y)
        if self.inner == "named":
            return checkpoint_name(y, "hidden")
        if self.inner == "sharded":
            mesh = jax.sharding.Mesh(jax.devices()[:1], "x")
            spec = jax.sharding.PartitionSpec(*[None] * (y.ndim - 1), "x")
            place = jax.sharding.NamedSharding(mesh, spec)
            return jax.lax.with_sharding_constraint(y, place)
        if self.inner == "clip":
            return jnp.nan_to_num(jnp.clip(y, -7.0, 7.0))
        if self.inner == "mixed":
            y = y.reshape(*y.shape[:-1], 4, 4)
            return jnp.einsum("...ki,kij->...kj", y, self.mix[...]).reshape(
                *y.shape[:-2], -1
            )
        if self.inner == "heads":
            return (y.reshape(*y.shape[:-1], 4, -1) * 1.5).reshape(y.shape)
        return jnp.where(jnp.abs(y) < 9, y, 0) if self.inner == "where" else y
