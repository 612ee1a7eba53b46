"""Hosts of images as public models write them, which know nothing of gates."""

import jax
import jax.numpy as jnp
from flax import nnx

WIDTH = 16


class ConvNextBlock(nnx.Module):
    """A depthwise convolution, and an MLP for each pixel."""

    def __init__(self, rngs):
        conv = dict(feature_group_count=WIDTH, rngs=rngs)
        self.dwconv = nnx.Conv(WIDTH, WIDTH, (7, 7), **conv)
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.pwconv1 = nnx.Linear(WIDTH, 64, rngs=rngs)
        self.pwconv2 = nnx.Linear(64, WIDTH, rngs=rngs)
        self.gamma = nnx.Param(jnp.full(WIDTH, 0.5))

    def __call__(self, x, rngs=None, train=False):
        y = self.norm(self.dwconv(x))
        y = self.pwconv2(jax.nn.gelu(self.pwconv1(y)))
        return x + self.gamma[...] * y


class InvertedBottleneck(nnx.Module):
    """A wide depthwise convolution, with squeeze-and-excite or without."""

    def __init__(self, rngs, excite=True):
        conv = lambda i, o, k, g=1: nnx.Conv(
            i, o, (k, k), feature_group_count=g, use_bias=False, rngs=rngs
        )
        self.expand, self.depthwise = conv(WIDTH, 32, 1), conv(32, 32, 3, 32)
        self.project = conv(32, WIDTH, 1)
        self.bn0, self.bn1 = nnx.BatchNorm(32, rngs=rngs), nnx.BatchNorm(32, rngs=rngs)
        self.reduce = nnx.Linear(32, 8, rngs=rngs)
        self.restore = nnx.Linear(8, 32, rngs=rngs)
        self.excite = excite

    def __call__(self, x, training):
        norm = dict(use_running_average=not training)
        y = jax.nn.silu(self.bn0(self.expand(x), **norm))
        y = jax.nn.silu(self.bn1(self.depthwise(y), **norm))
        if self.excite:
            z = self.restore(jax.nn.silu(self.reduce(y.mean((1, 2)))))
            y = y * jax.nn.sigmoid(z)[:, None, None]
        return x + self.project(y)


class Bottleneck(nnx.Module):
    """The block of a deep residual network; its ReLU is behind the skip."""

    def __init__(self, rngs):
        conv = lambda i, o, k: nnx.Conv(i, o, (k, k), use_bias=False, rngs=rngs)
        self.conv0, self.bn0 = conv(WIDTH, 8, 1), nnx.BatchNorm(8, rngs=rngs)
        self.conv1, self.bn1 = conv(8, 8, 3), nnx.BatchNorm(8, rngs=rngs)
        self.conv2, self.bn2 = conv(8, WIDTH, 1), nnx.BatchNorm(WIDTH, rngs=rngs)

    def __call__(self, x):
        y = jax.nn.relu(self.bn0(self.conv0(x)))
        y = jax.nn.relu(self.bn1(self.conv1(y)))
        return jax.nn.relu(x + self.bn2(self.conv2(y)))


class Vgg(nnx.Module):
    """A whole network of convolutions and pools."""

    def __init__(self, rngs):
        self.conv1 = nnx.Conv(WIDTH, 16, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(16, 16, (3, 3), rngs=rngs)
        self.head = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu(self.conv1(x))
        x = nnx.max_pool(jax.nn.relu(self.conv2(x)), (2, 2), (2, 2))
        return self.head(x.mean((1, 2)))


class DenseBlock(nnx.Module):
    """Layers that read all that were before them."""

    def __init__(self, rngs):
        self.norms, self.convs = nnx.List(), nnx.List()
        for i in range(2):
            inputs = WIDTH + 8 * i
            self.norms.append(nnx.BatchNorm(inputs, rngs=rngs))
            self.norms.append(nnx.BatchNorm(32, rngs=rngs))
            self.convs.append(nnx.Conv(inputs, 32, (1, 1), use_bias=False, rngs=rngs))
            self.convs.append(nnx.Conv(32, 8, (3, 3), use_bias=False, rngs=rngs))

    def __call__(self, x):
        for i in (0, 2):
            y = self.convs[i](jax.nn.relu(self.norms[i](x)))
            y = self.convs[i + 1](jax.nn.relu(self.norms[i + 1](y)))
            x = jnp.concatenate([x, y], -1)
        return x


class UNet(nnx.Module):
    """A network that comes back to the size of its input."""

    def __init__(self, rngs):
        conv = lambda i, o: nnx.Conv(i, o, (3, 3), rngs=rngs)
        self.down, self.middle, self.last = conv(WIDTH, 16), conv(16, 32), conv(16, 3)
        self.up = nnx.ConvTranspose(32, 16, (2, 2), strides=(2, 2), rngs=rngs)
        self.join = conv(32, 16)

    def __call__(self, x):
        before = jax.nn.relu(self.down(x))
        y = nnx.max_pool(before, (2, 2), (2, 2))
        y = self.up(jax.nn.relu(self.middle(y)))
        y = jax.nn.relu(self.join(jnp.concatenate([before, y], -1)))
        return self.last(y)
