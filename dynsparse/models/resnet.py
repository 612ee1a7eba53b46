"""Residual networks, gated by positions, blocks or channels, or with early exits."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.registry import Config
from dynsparse.layers import NUM_PARTS, EarlyExits, GatedLayer, gated
from dynsparse.layers.residual import (
    Branch,
    PaddedShortcut,
    ProjectedShortcut,
    ResidualBlock,
    Shape,
    Stem,
)
from dynsparse.models.base import (
    PooledHead,
    check_granularity,
    check_images,
    check_positive,
)

# Blocks per stage of the large networks, and output channels per inner channel.
_LARGE = {18: ((2, 2, 2, 2), 1), 34: ((3, 4, 6, 3), 1), 50: ((3, 4, 6, 3), 4)}


class Resnet(nnx.Module):
    """Convolutional residual blocks in stages of falling resolution.

    He et al. (2015, arXiv:1512.03385): with the small stem the networks for CIFAR,
    whose shortcuts have no parameters (`depth=56, width=16`: 125.5 M MACs at 32x32);
    with the large one those for ImageNet (`depth=50, width=64`: 4.1 G MACs at 224x224,
    the stride in the 3x3 convolutions, as usual since).

    Args:
        granularity: "blocks": examples skip residual blocks that keep their shape;
            "channels": they run some eighths of the channels between the last two
            convolutions of each block; "positions": they run blocks that keep their
            shape on some tiles; "exits": an answer after each stage, as in
            `layers.EarlyExits`.
        stem: "small", a 3x3 convolution, or "large", 7x7 with stride and pooling.
        depth: With the small stem 6 n + 2 for n blocks in each of three stages, such as
            20, 32, 56 or 110; with the large one 18, 34 or 50.
        width: Channels of the first stage.
        tile: Pixels per side of a tile of positions, 0 for the largest of which the
            first stage has four or more along each side; stages of a single tile and
            those that it does not divide are not gated. For other granularities 0.
        gate, scorer, image_shape, num_classes, rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted, here or by a gate or layer.
    """

    def __init__(
        self,
        *,
        granularity: str,
        stem: str,
        depth: int,
        width: int,
        tile: int,
        gate: Config,
        scorer: Config,
        image_shape: tuple[int, int, int],
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        check_granularity(granularity, ("blocks", "channels", "positions", "exits"))
        check_positive(width=width)
        if tile < 0 or (tile and granularity != "positions"):
            raise ValueError(
                f"model: tile is the side of a tile of positions, and 0 for other "
                f"granularities; got {tile} for {granularity}."
            )
        sizes, widening = _stages(stem, depth)
        shrinks = 2 if stem == "large" else 0
        sides = [_halved(side, shrinks) for side in image_shape[:2]]
        fitting = _tiles(sides) if granularity == "positions" else []
        tile = tile or max([side for side in fitting if 4 * side <= min(sides)] or [0])
        build = BlockBuilder(
            granularity=granularity,
            projected=stem == "large",
            tile=tile,
            options=dict(gate=gate, scorer=scorer, rngs=rngs),
        )
        self.stem = Stem(image_shape[-1], width, large=stem == "large", rngs=rngs)
        channels, stages, widths = width, [], []
        for index, number in enumerate(sizes):
            inner = width * 2**index
            stride = 2 if index else 1
            sides = [_halved(side, stride - 1) for side in sides]
            blocks = []
            for place in range(number):
                shape = Shape(channels, inner, inner * widening, 1 if place else stride)
                blocks.append(build(shape, sides))
                channels = shape.outputs
            stages.append(nnx.Sequential(*blocks))
            widths.append(channels)
        if granularity == "positions" and not any(
            isinstance(part, GatedLayer)
            for stage in stages
            for _, part in nnx.iter_modules(stage)
        ):
            raise ValueError(
                f"model: tile={tile} divides no stage of {image_shape[:2]} pixels into "
                f"several tiles, so that there is nothing to gate; of the first stage "
                f"{fitting or 'none'} do."
            )
        head = lambda features: PooledHead(
            width=features, num_classes=num_classes, rngs=rngs
        )
        if granularity == "exits":
            self.head = None
            self.body: Any = EarlyExits(
                stages,
                [head(features) for features in widths],
                num_classes=num_classes,
                gate=gate,
                scorer=scorer,
                rngs=rngs,
            )
        else:
            self.head = head(channels)
            self.body = nnx.Sequential(*stages)

    @staticmethod
    def narrowed(config: Config) -> Iterator[dict[str, Any]]:
        """Yields configs of the same depth, from the narrowest to `config`."""
        step = NUM_PARTS if config["granularity"] == "channels" else 1
        for width in range(step, config["width"] + 1, step):
            yield dict(config) | dict(width=width)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of images that have passed `Dataset.inputs`."""
        check_images(images)
        features = self.body(self.stem(images))
        return features if self.head is None else self.head(features)


@dataclasses.dataclass(frozen=True)
class BlockBuilder:
    """Builder of the residual blocks of a network, gated where they can be.

    Attributes:
        granularity: As in `Resnet`.
        projected: Whether shortcuts that change the shape have parameters.
        tile: Side of the tiles of positions, in pixels.
        options: `gate`, `scorer` and `rngs`.
    """

    granularity: str
    projected: bool
    tile: int
    options: dict[str, Any]

    def __call__(self, shape: Shape, sides: Sequence[int]) -> nnx.Module:
        """Returns a block.

        Args:
            shape: Channels and stride.
            sides: Height and width of the output.
        """
        around: dict[str, Any] = dict(granularity=self.granularity, **self.options)
        if self.granularity == "positions" and shape.keeps:
            grid = self._grid(sides)
            if grid is not None:
                branch = Branch(shape, padding="VALID", rngs=self.options["rngs"])
                own: dict[str, Any] = dict(tile=self.tile, halo=branch.halo, grid=grid)
                return AtPositions(gated(branch, width=shape.inputs, **own, **around))
        branch = Branch(shape, rngs=self.options["rngs"])
        if self.granularity == "channels":
            branch.pair = gated(branch.pair, num_groups=NUM_PARTS, **around)
        block = ResidualBlock(branch, self._shortcut(shape))
        if self.granularity == "blocks" and shape.keeps:
            return gated(block, width=shape.inputs, **around)
        return block

    def _shortcut(self, shape: Shape) -> nnx.Module | None:
        if shape.keeps:
            return None
        if self.projected:
            return ProjectedShortcut(shape, rngs=self.options["rngs"])
        return PaddedShortcut(shape)

    def _grid(self, sides: Sequence[int]) -> tuple[int, int] | None:
        tile = self.tile
        fits = tile and all(side % tile == 0 for side in sides) and max(sides) > tile
        return (sides[0] // tile, sides[1] // tile) if fits else None


class AtPositions(nnx.Module):
    """A residual block whose branch runs at some positions.

    Args:
        branch: Maps `x` to the sum of `x` and a branch.
    """

    def __init__(self, branch: nnx.Module):
        self.branch: Any = branch

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns the sum of `x` and the branch, rectified."""
        return jax.nn.relu(self.branch(x))


def _stages(stem: str, depth: int) -> tuple[tuple[int, ...], int]:
    """Returns blocks per stage, and output channels per inner channel."""
    if stem == "small":
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(
                f"model: with the small stem depth must be 6 n + 2, such as 20, 32, 56 "
                f"or 110, got {depth}."
            )
        return ((depth - 2) // 6,) * 3, 1
    if stem != "large":
        raise ValueError(f"model: stem must be 'small' or 'large', got {stem!r}.")
    if depth not in _LARGE:
        raise ValueError(
            f"model: with the large stem depth must be one of {tuple(_LARGE)}, "
            f"got {depth}."
        )
    return _LARGE[depth]


def _halved(side: int, times: int) -> int:
    return -(-side // 2**times)


def _tiles(sides: Sequence[int]) -> list[int]:
    """Returns sides, above 1 pixel, that divide an image into several tiles."""
    common = math.gcd(*sides)
    return [n for n in range(2, common + 1) if common % n == 0 and n < max(sides)]
