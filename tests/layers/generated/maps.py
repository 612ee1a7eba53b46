"""Ways to write a linear map, an activation and a norm, drawn by a seed."""

import random

import jax
import jax.numpy as jnp
from flax import nnx


class Draw:
    """Choices by a seed.

    Attributes:
        told: The choices, in words.
    """

    def __init__(self, seed):
        self.told = []
        self._random = random.Random(seed)

    def one(self, name, *options):
        chosen = self._random.choice(options)
        self.told.append(f"{name}={chosen}")
        return chosen


class Part(nnx.Module):
    """Part of a host, whose units and places a test may set.

    Attributes:
        units: How many there are; None where none can be told apart.
        reader: Path of the parameter that reads them.
        weights: Weighs the units of each row, [*rows, units]; None for ones.
        places: Place of each token, [batch, n]; None for those of a whole sequence.
    """

    units = None
    reader = ""
    weights = None
    places = None

    def weighed(self, y, axis):
        """Weighs units along an axis behind the rows."""
        if self.weights is None:
            return y
        weights = self.weights[...]
        between = [1] * (axis + 1 - weights.ndim)
        beside = weights.shape[:-1], between, weights.shape[-1:]
        behind = [1] * (y.ndim - axis - 1)
        return y * weights.reshape([*beside[0], *beside[1], *beside[2], *behind])


class Matmul(nnx.Module):
    """A product by hand."""

    def __init__(self, ins, outs, way, rngs):
        shape = (outs, ins) if way == "transposed" else (ins, outs)
        self.kernel = nnx.Param(0.4 * rngs.params.normal(shape))
        self.bias = nnx.Param(0.1 * rngs.params.normal((outs,)))
        self.scale = nnx.Param(1 + 0.1 * rngs.params.normal((outs,)))
        self.way = way

    def __call__(self, x):
        kernel, bias = self.kernel[...], self.bias[...]
        bias = bias.reshape([1] * (x.ndim - 1) + [-1])
        if self.way == "transposed":
            return jnp.einsum("...i,oi->...o", x, kernel) + bias
        if self.way == "scaled":
            return x @ (kernel * self.scale[...][None])
        if self.way == "flat":
            return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1)
        if self.way == "tensordot":
            return jnp.tensordot(x, kernel, axes=([x.ndim - 1], [0])) + bias
        if self.way == "vmapped":
            return jax.vmap(lambda row: jnp.dot(row, kernel))(x) + bias
        if self.way == "halves":
            a, b = kernel[:, : len(self.bias) // 2], kernel[:, len(self.bias) // 2 :]
            return jnp.concatenate([x @ a, x @ b], -1) + bias
        if self.way == "quantized":
            small = jnp.round(kernel * 16).astype(jnp.int8)
            return x @ (small.astype(x.dtype) * (self.scale[...][None] / 16))
        if self.way == "normed":
            return x @ (kernel / jnp.linalg.norm(kernel, axis=0, keepdims=True)) + bias
        if self.way == "general":
            numbers = (((x.ndim - 1,), (0,)), ((), ()))
            return bias + jax.lax.dot_general(x, kernel, numbers)
        return jnp.matmul(x, kernel) + bias


def linear(draw, ins, outs, rngs, name="linear"):
    """A linear map of the last axis, with a parameter `kernel`."""
    by_hand = "matmul", "transposed", "scaled", "flat", "general", "tensordot"
    by_hand += "vmapped", "halves", "quantized", *["normed"] * name.startswith("up")
    ways = "linear", "linear", "bare", "einsum", "axes", "adapted", "half"
    way = draw.one(name, *ways, *by_hand)
    if way in by_hand:
        return Matmul(ins, outs, way, rngs)
    if way == "einsum":
        return nnx.Einsum("...i,io->...o", (ins, outs), (outs,), rngs=rngs)
    if way == "axes":
        return nnx.LinearGeneral((ins,), (outs,), axis=(-1,), rngs=rngs)
    if way == "adapted":
        return nnx.LoRALinear(ins, outs, lora_rank=2, rngs=rngs)
    dtype = jnp.bfloat16 if way == "half" else None
    return nnx.Linear(ins, outs, use_bias=way != "bare", dtype=dtype, rngs=rngs)


@jax.custom_jvp
def own(x):
    """A function with a derivative of its own."""
    return x * jax.nn.sigmoid(1.7 * x)


own.defjvp(lambda primals, tangents: (own(*primals), 0.5 * tangents[0]))


@jax.custom_vjp
def clipped(x):
    """A function with a backward pass of its own."""
    return jnp.clip(x, -1, 1)


clipped.defvjp(lambda x: (clipped(x), x), lambda x, slope: (slope * (x < 2),))

ACTIVATIONS = dict(
    relu=jax.nn.relu,
    relu6=jax.nn.relu6,
    gelu=jax.nn.gelu,
    exact=lambda x: jax.nn.gelu(x, approximate=False),
    silu=jax.nn.silu,
    squared=lambda x: jnp.square(jax.nn.relu(x)),
    tanh=jnp.tanh,
    softplus=jax.nn.softplus,
    leaky=lambda x: jnp.where(x > 0, x, 0.1 * x),
    own=own,
    clipped=clipped,
    elu=jax.nn.elu,
    maximum=lambda x: jnp.maximum(x, 0.0),
    hard=jax.nn.hard_swish,
    mish=jax.nn.mish,
    checkpointed=jax.checkpoint(lambda x: jnp.sin(x) + x),
)


def activation(draw):
    return ACTIVATIONS[draw.one("activation", *ACTIVATIONS)]


class HandNorm(nnx.Module):
    """A norm by hand: the root of the mean square, or the mean, too."""

    def __init__(self, width, way, rngs):
        self.scale = nnx.Param(1 + 0.1 * rngs.params.normal((width,)))
        self.way = way

    def __call__(self, x):
        kind, x = x.dtype, x.astype(jnp.float32)
        if self.way == "centred":
            x = x - x.mean(-1, keepdims=True)
        size = jnp.mean(x * x, axis=-1, keepdims=True)
        if self.way == "unit":
            x = x / jnp.linalg.norm(x, axis=-1, keepdims=True)
        elif self.way == "root":
            x = x * jax.lax.rsqrt(size + 1e-6)
        else:
            x = x / jnp.sqrt(size + 1e-6)
        return (x * self.scale[...].reshape([1] * (x.ndim - 1) + [-1])).astype(kind)


def norm(draw, width, rngs):
    """A norm of the last axis."""
    way = draw.one("norm", "layer", "rms", "root", "centred", "unit", "var", "none")
    if way == "none":
        return lambda x: x
    if way == "var":
        return lambda x: (
            (x - x.mean(-1, keepdims=True))
            * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)
        )
    if way == "layer":
        return nnx.LayerNorm(width, rngs=rngs)
    return nnx.RMSNorm(width, rngs=rngs) if way == "rms" else HandNorm(width, way, rngs)
