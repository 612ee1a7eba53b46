"""Convolutional residual blocks, plain: what other layers gate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.layers.channels import ConvPair


class Shape(NamedTuple):
    """The channels of a residual block, and by how much it shrinks the image."""

    inputs: int
    inner: int
    outputs: int
    stride: int

    @property
    def keeps(self) -> bool:
        """Whether the output has the shape of the input."""
        return self.stride == 1 and self.inputs == self.outputs


def batch_norm(features: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """The norm of residual networks: a moving average over about ten batches."""
    return nnx.BatchNorm(features, momentum=0.9, rngs=rngs)


class Branch(nnx.Module):
    """The branch of a residual block: basic, or a bottleneck where it widens.

    Basic: two 3x3 convolutions. Bottleneck: 1x1 to the inner channels, 3x3, 1x1 to the
    output. Each has a BatchNorm; the stride is in the first 3x3.

    Args:
        shape: Of the block; a bottleneck if it has fewer inner channels than outputs.
        padding: "SAME", or "VALID" for one whose input is padded by its `halo`.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, shape: Shape, *, padding: str = "SAME", rngs: nnx.Rngs):
        inputs, inner, outputs, stride = shape

        def conv(ins: int, outs: int, side: int, stride: int = 1):
            return nnx.Conv(
                ins,
                outs,
                (side, side),
                strides=stride,
                padding=padding,
                use_bias=False,
                rngs=rngs,
            )

        bottleneck = inner < outputs
        self.reduce = conv(inputs, inner, 1) if bottleneck else None
        self.reduce_norm = batch_norm(inner, rngs) if bottleneck else None
        self.pair: Any = ConvPair(
            first=conv(inner if bottleneck else inputs, inner, 3, stride),
            norm=batch_norm(inner, rngs),
            second=conv(inner, outputs, 1 if bottleneck else 3),
        )
        self.norm = batch_norm(outputs, rngs)
        self.halo = 1 if bottleneck else 2

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns what the block adds to its shortcut."""
        if self.reduce is not None and self.reduce_norm is not None:
            x = jax.nn.relu(self.reduce_norm(self.reduce(x)))
        return self.norm(self.pair(x))


class ResidualBlock(nnx.Module):
    """A branch beside a shortcut, then a ReLU (He et al., 2015, arXiv:1512.03385).

    Args:
        branch: To gate or not.
        shortcut: To the shape of the branch's output; None where that is the input's.
    """

    def __init__(self, branch: nnx.Module, shortcut: nnx.Module | None):
        self.branch: Any = branch
        self.shortcut: Any = shortcut

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns features that are not negative."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return jax.nn.relu(shortcut + self.branch(x))


class PaddedShortcut(nnx.Module):
    """Every stride-th pixel, with zeros for the channels that are new: no parameters.

    Args:
        shape: Of the block.
    """

    def __init__(self, shape: Shape):
        self.stride = shape.stride
        self.new = shape.outputs - shape.inputs

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Array:
        """Returns the image in the shape of the block's output."""
        x = x[:, :: self.stride, :: self.stride]
        before = self.new // 2
        return jnp.pad(x, [(0, 0)] * 3 + [(before, self.new - before)])


class ProjectedShortcut(nnx.Module):
    """A 1x1 convolution with the block's stride, and a BatchNorm.

    Args:
        shape: Of the block.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, shape: Shape, *, rngs: nnx.Rngs):
        self.conv = nnx.Conv(
            shape.inputs,
            shape.outputs,
            (1, 1),
            strides=shape.stride,
            use_bias=False,
            rngs=rngs,
        )
        self.norm = batch_norm(shape.outputs, rngs)

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Array:
        """Returns the image in the shape of the block's output."""
        return self.norm(self.conv(x))


class Stem(nnx.Module):
    """Images to the features of the first stage.

    Args:
        channels: Of the image.
        width: Features.
        large: Whether to shrink the image to a quarter: 7x7 with stride 2, and
            pooling; otherwise 3x3.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, channels: int, width: int, *, large: bool, rngs: nnx.Rngs):
        self.large = large
        side = 7 if large else 3
        self.conv = nnx.Conv(
            channels,
            width,
            (side, side),
            strides=2 if large else 1,
            use_bias=False,
            rngs=rngs,
        )
        self.norm = batch_norm(width, rngs)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 features"]:
        """Returns features that are not negative."""
        x = jax.nn.relu(self.norm(self.conv(images)))
        if self.large:
            x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        return x
