"""Modules that know nothing of gates, each with a habit of its own."""

import jax
import jax.numpy as jnp
from flax import nnx

from dynsparse.layers import masked_attention

WIDTH = 8


def fresh():
    """Streams of a model's own."""
    return nnx.Rngs(0, dropout=1)


class Net(nnx.Module):
    """A model with one part."""

    def __init__(self, part):
        self.part = part

    def __call__(self, x):
        return self.part(x)


class Called(nnx.Module):
    """Modules and a function that calls them."""

    def __init__(self, call, **parts):
        self.call = call
        for name, part in parts.items():
            setattr(self, name, part)

    def __call__(self, x):
        return self.call(self, x)


def perceptron(call=None, kind=nnx.Linear, **parts):
    """Two linear maps, `up` and `down`, and what is beside them."""
    call = call or (lambda m, x: m.down(jax.nn.relu(m.up(x))))
    up, down = kind(WIDTH, 16, rngs=fresh()), kind(16, WIDTH, rngs=fresh())
    return Called(call, up=up, down=down, **parts)


def convolutions(call=None, kind=nnx.Conv, **parts):
    """Two convolutions, `first` and `second`, and what is beside them."""
    call = call or (lambda m, x: m.second(jax.nn.relu(m.first(x))))
    conv = lambda: kind(WIDTH, WIDTH, (3, 3), rngs=fresh())
    return Called(call, first=conv(), second=conv(), **parts)


class Standardized(nnx.Linear):
    """Kernels of mean 0."""

    def __call__(self, x):
        kernel = self.kernel[...]
        return x @ (kernel - kernel.mean(0, keepdims=True))


def masked_conv(ins, outs, size, *, rngs):
    """A convolution without the weights in its corners."""
    mask = jnp.ones((*size, ins, outs)).at[0, 0].set(0)
    return nnx.Conv(ins, outs, size, mask=mask, rngs=rngs)


def adapted(ins, outs, *, rngs):
    """A linear map with an adapter that is still zero."""
    return nnx.LoRALinear(ins, outs, lora_rank=2, rngs=rngs)


class Doubled(nnx.MultiHeadAttention):
    """Attention of another scale."""

    def __call__(self, x):
        return 2 * super().__call__(x, decode=False)


def attention(kind=nnx.MultiHeadAttention, **parts):
    """An attention of two heads, some parts of which are replaced."""
    module = kind(2, WIDTH, decode=False, rngs=fresh())
    for name, part in parts.items():
        setattr(module, name, part)
    return module


class Block(nnx.Module):
    """Attention over open tokens with a skip; `prepare` changes what it reads."""

    def __init__(self, prepare=lambda x: x, takes_mask=True, skip=True):
        self.qkv = nnx.Linear(WIDTH, 3 * WIDTH, rngs=fresh())
        self.out = nnx.Linear(WIDTH, WIDTH, rngs=fresh())
        self.prepare, self.takes_mask, self.skip = prepare, takes_mask, skip

    def __call__(self, x, mask=None):
        mask = mask if self.takes_mask else None
        parts = self.qkv(self.prepare(x)).reshape(*x.shape[:2], 3, 2, WIDTH // 2)
        attended = masked_attention(*jnp.moveaxis(parts, 2, 0), mask)
        added = self.out(attended.reshape(x.shape))
        return x + added if self.skip else added


def by_place(x):
    """Tells each token its place."""
    return x + jnp.arange(x.shape[1], dtype=x.dtype)[None, :, None]


class Placed(Block):
    """Adds what it learned for each place, nothing yet."""

    def __init__(self):
        super().__init__()
        self.places = nnx.Param(jnp.zeros((6, WIDTH)))

    def __call__(self, x, mask=None):
        return super().__call__(x + self.places[: x.shape[1]][None], mask)


def normed_over_tokens(x):
    """Reads the mean of all tokens."""
    return x - x.mean(1, keepdims=True)


class Biased(Block):
    """Its second argument is a bias of the queries."""

    def __call__(self, x, bias=None):
        return super().__call__(x if bias is None else x + bias[..., None])


class Residual(nnx.Module):
    """A block that keeps its input's shape, whatever is done in `call`."""

    def __init__(self, call=lambda m, x: x + m.linear(x)):
        self.linear, self.call = nnx.Linear(WIDTH, WIDTH, rngs=fresh()), call

    def __call__(self, x):
        return self.call(self, x)


def stacked():
    """Layers of one scan, in one module."""
    each = nnx.vmap(lambda rngs: Residual(), in_axes=(0,), out_axes=0)
    return nnx.split_rngs(splits=3)(each)(nnx.Rngs(0))
