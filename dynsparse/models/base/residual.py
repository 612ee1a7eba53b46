"""Plain convolutional residual blocks: hosts of gated layers."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.layers.rows.positions import PaddedOnce


class Shape(NamedTuple):
    """Channels of a residual block, and the factor by which it shrinks the image."""

    inputs: int
    inner: int
    outputs: int
    stride: int

    @property
    def keeps(self) -> bool:
        """Whether the output has the shape of the input."""
        return self.stride == 1 and self.inputs == self.outputs


def batch_norm(features: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Builds the norm of residual networks: averages over about ten batches."""
    return nnx.BatchNorm(features, momentum=0.9, rngs=rngs)


def conv(
    inputs: int,
    outputs: int,
    side: int,
    *,
    stride: int = 1,
    padding: str = "SAME",
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """Builds a square convolution without bias."""
    options: dict[str, Any] = dict(strides=stride, padding=padding, use_bias=False)
    return nnx.Conv(inputs, outputs, (side, side), rngs=rngs, **options)


class ConvPair(nnx.Module):
    """Convolution, norm, ReLU, convolution: what lies between may be gated.

    Args:
        first: Convolution to the channels between.
        norm: Norm of the channels between.
        second: Convolution from the channels between.
    """

    def __init__(self, *, first: nnx.Conv, norm: nnx.BatchNorm, second: nnx.Conv):
        self.first = first
        self.norm = norm
        self.second = second
        self.width = first.in_features

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the sum over the channels between."""
        hidden = self.first(x)
        return self.second(jax.nn.relu(self.norm(hidden).astype(hidden.dtype)))


class Branch(nnx.Module):
    """The branch of a residual block: basic, or a bottleneck where it widens.

    Basic: two 3x3 convolutions. Bottleneck: 1x1 to the inner channels, 3x3, 1x1 to the
    output. Each has a BatchNorm; the stride is in the first 3x3.

    Args:
        shape: Of the block; a bottleneck if it has fewer inner channels than outputs.
        padding: "SAME", or "VALID" for a branch whose input is padded by its `halo`.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, shape: Shape, *, padding: str = "SAME", rngs: nnx.Rngs):
        inputs, inner, outputs, stride = shape
        new = functools.partial(conv, padding=padding, rngs=rngs)
        bottleneck = inner < outputs
        self.reduce = new(inputs, inner, 1) if bottleneck else None
        self.reduce_norm = batch_norm(inner, rngs) if bottleneck else None
        self.pair: Any = ConvPair(
            first=new(inner if bottleneck else inputs, inner, 3, stride=stride),
            norm=batch_norm(inner, rngs),
            second=new(inner, outputs, 1 if bottleneck else 3),
        )
        self.norm = batch_norm(outputs, rngs)
        self.halo = 1 if bottleneck else 2

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the branch's output, to be added to the shortcut."""
        if self.reduce is not None and self.reduce_norm is not None:
            x = jax.nn.relu(self.reduce_norm(self.reduce(x)))
        return self.norm(self.pair(x))


class ResidualBlock(nnx.Module):
    """A branch beside a shortcut, then a ReLU (He et al., 2015, arXiv:1512.03385).

    Args:
        shape: Of the block.
        projected: Whether a shortcut that changes the shape has parameters.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, shape: Shape, *, projected: bool, rngs: nnx.Rngs):
        self.width = shape.inputs
        self.branch: Any = Branch(shape, rngs=rngs)
        if shape.keeps:
            self.shortcut: Any = None
        elif projected:
            self.shortcut = ProjectedShortcut(shape, rngs=rngs)
        else:
            self.shortcut = PaddedShortcut(shape)

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns features that are not negative."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return jax.nn.relu(shortcut + self.branch(x))


class TiledBlock(nnx.Module):
    """A residual block whose input is padded once, so that its tiles stand alone.

    Args:
        shape: Of the block, which keeps it.
        tile: Pixels per side of a tile.
        grid: Tiles of the image, from top to bottom and from left to right.
        rngs: Initialises from the `params` stream.
    """

    def __init__(
        self, shape: Shape, tile: int, grid: tuple[int, int], *, rngs: nnx.Rngs
    ):
        branch = Branch(shape, padding="VALID", rngs=rngs)
        self.branch: Any = PaddedOnce(branch, halo=branch.halo)
        self.width, self.tile, self.grid = shape.inputs, tile, grid

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns the sum of `x` and the branch, rectified."""
        return jax.nn.relu(self.branch(x))


class PaddedShortcut(nnx.Module):
    """Every stride-th pixel, with zeros for new channels: no parameters.

    Args:
        shape: Shape of the block.
    """

    def __init__(self, shape: Shape):
        self.stride = shape.stride
        self.new = shape.outputs - shape.inputs

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the image in the shape of the block's output."""
        x = x[:, :: self.stride, :: self.stride]
        before = self.new // 2
        return jnp.pad(x, [(0, 0)] * 3 + [(before, self.new - before)])


class ProjectedShortcut(nnx.Module):
    """A 1x1 convolution with the block's stride, and a BatchNorm.

    Args:
        shape: Shape of the block.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, shape: Shape, *, rngs: nnx.Rngs):
        self.conv = conv(shape.inputs, shape.outputs, 1, stride=shape.stride, rngs=rngs)
        self.norm = batch_norm(shape.outputs, rngs)

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the image in the shape of the block's output."""
        return self.norm(self.conv(x))


class Stem(nnx.Module):
    """Maps images to the features of the first stage.

    Args:
        channels: Channels of the image.
        width: Features.
        large: Whether to shrink each side of the image to a quarter: a 7x7 convolution
            with stride 2 and pooling; otherwise a 3x3 convolution.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, channels: int, width: int, *, large: bool, rngs: nnx.Rngs):
        self.large = large
        side, stride = (7, 2) if large else (3, 1)
        self.conv = conv(channels, width, side, stride=stride, rngs=rngs)
        self.norm = batch_norm(width, rngs)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 features"]:
        """Returns features that are not negative."""
        x = jax.nn.relu(self.norm(self.conv(images)))
        if self.large:
            x = nnx.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        return x
