"""Convolutional residual network."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.paths import path_name
from dynsparse._internal.registry import Config
from dynsparse.layers import Stage, Stages
from dynsparse.models.base.checks import check_positive
from dynsparse.models.base.heads import PooledHead
from dynsparse.models.base.images import check_images
from dynsparse.models.base.residual import ResidualBlock, Shape, Stem, TiledBlock
from dynsparse.models.base.transformers import NUM_PARTS, Rules

# Blocks per stage of the large networks, and output channels per inner channel.
_LARGE = {18: ((2, 2, 2, 2), 1), 34: ((3, 4, 6, 3), 1), 50: ((3, 4, 6, 3), 4)}


class Resnet(nnx.Module):
    """Convolutional residual blocks in stages of falling resolution.

    He et al. (2015, arXiv:1512.03385): with the small stem the networks for CIFAR,
    whose shortcuts have no parameters (`depth=56, width=16`: 125.5 M MACs at 32x32);
    with the large one those for ImageNet (`depth=50, width=64`: 4.1 G MACs at 224x224,
    the stride in the 3x3 convolutions, as usual since).

    Args:
        stem: "small", a 3x3 convolution, or "large", 7x7 with stride and pooling.
        depth: With the small stem 6 n + 2 for n blocks in each of three stages, such as
            20, 32, 56 or 110; with the large one 18, 34 or 50.
        width: Channels of the first stage.
        exits: Whether each stage has an answer, or the last one alone.
        tiled: Whether blocks that keep their shape pad their input once, rather than
            that of each convolution, so that tiles can be computed alone.
        tile: Pixels per side of these tiles, 0 for the largest of which the first stage
            has four or more along each side; stages of a single tile and those that it
            does not divide pad as usual. Of a network that is not tiled 0.
        image_shape, num_classes, rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = ("positions", "blocks", "channels", "exits")
    variants = dict(positions=dict(tiled=True), exits=dict(exits=True))

    def __init__(
        self,
        *,
        stem: str,
        depth: int,
        width: int,
        exits: bool = False,
        tiled: bool = False,
        tile: int = 0,
        image_shape: tuple[int, int, int],
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        check_positive(width=width)
        if tile < 0 or (tile and not tiled):
            raise ValueError(
                f"model: tile is the side of a tile of positions, and 0 for other "
                f"granularities; got {tile}."
            )
        sizes, widening = _stages(stem, depth)
        large = stem == "large"
        sides = [_halved(side, 2 if large else 0) for side in image_shape[:2]]
        fitting = _tiles(sides) if tiled else []
        tile = tile or max([side for side in fitting if 4 * side <= min(sides)] or [0])
        self.stem = Stem(image_shape[-1], width, large=large, rngs=rngs)
        channels, stages, widths, grids = width, [], [], []
        for index, number in enumerate(sizes):
            inner = width * 2**index
            stride = 2 if index else 1
            sides = [_halved(side, stride - 1) for side in sides]
            grids.append(_grid(sides, tile) if tile else None)
            blocks: list[nnx.Module] = []
            for place in range(number):
                shape = Shape(channels, inner, inner * widening, 1 if place else stride)
                if shape.keeps and grids[-1] is not None:
                    blocks.append(TiledBlock(shape, tile, grids[-1], rngs=rngs))
                else:
                    blocks.append(ResidualBlock(shape, projected=large, rngs=rngs))
                channels = shape.outputs
            stages.append(nnx.Sequential(*blocks))
            widths.append(channels)
        if tiled and not any(grids):
            raise ValueError(
                f"model: tile={tile} divides no stage of {image_shape[:2]} pixels into "
                f"several tiles, so that there is nothing to gate; of the first stage "
                f"{fitting or 'none'} do."
            )
        head = lambda features: PooledHead(
            width=features, num_classes=num_classes, rngs=rngs
        )
        self.head = None if exits else head(channels)
        if exits:
            stages = [
                Stage(stage, head(features), num_classes=num_classes)
                for stage, features in zip(stages, widths, strict=True)
            ]
        self.body: Any = Stages(stages) if exits else nnx.Sequential(*stages)

    @staticmethod
    def narrowed(config: Config) -> Iterator[dict[str, Any]]:
        """Yields configs of the same depth, from the narrowest to `config`."""
        known = dict(config)
        step = NUM_PARTS if known.get("granularity") == "channels" else 1
        for width in range(step, known["width"] + 1, step):
            yield known | dict(width=width)

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity.

        Args:
            granularity: "blocks": examples skip residual blocks that keep their shape;
                "channels": they run some eighths of the channels between the last two
                convolutions of each block; "positions": they run blocks that keep their
                shape on some tiles; "exits": they leave at the answer of a stage.
        """
        if granularity == "exits":
            return {"body/rest/*": dict(granularity=granularity)}
        options: Rules = {}
        for path, block in nnx.iter_modules(self.body):
            name = f"body/{path_name(path)}"
            match granularity, block:
                case "blocks", ResidualBlock(shortcut=None):
                    options[name] = dict(width=block.width)
                case "channels", ResidualBlock():
                    options[f"{name}/branch/pair"] = dict(num_groups=NUM_PARTS)
                case "positions", TiledBlock():
                    tiles = dict(tile=block.tile, grid=block.grid)
                    options[f"{name}/branch"] = dict(width=block.width) | tiles
        rule = dict(granularity=granularity)
        return {name: rule | own for name, own in options.items()}

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of images that have passed the inputs of a task."""
        check_images(images)
        features = self.body(self.stem(images))
        return features if self.head is None else self.head(features)


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


def _grid(sides: Sequence[int], tile: int) -> tuple[int, int] | None:
    """Tiles of an image along its sides; None where they do not cover it."""
    fits = all(side % tile == 0 for side in sides) and max(sides) > tile
    return (sides[0] // tile, sides[1] // tile) if fits else None
