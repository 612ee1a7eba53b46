"""A small vision transformer behind a convolutional stem, gated in seven ways."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.layers import Experts, TransformerBlock, gated
from dynsparse.lookup import Config
from dynsparse.models.base import PatchGrid

_GRANULARITIES = (
    "tokens",
    "bypass",
    "blocks",
    "heads",
    "neurons",
    "experts",
    "width",
)
_PARTS = 8  # blocks of neurons, experts, slices of the width


class ConvVit(nnx.Module):
    """Stem, transformer blocks, masked max-pooling, linear head.

    Args:
        granularity: "tokens": one gate after the stem chooses the tokens that all
            blocks see. With a gate in each block: "bypass", tokens skip it; "blocks",
            examples do; "heads", examples run some heads; "neurons", tokens run some
            eighths of the MLP; "experts", some of eight MLPs, each an eighth of its
            size; "width", all run the first eighths of the MLP.
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        gate: Config of the gates, for `gates.from_config`.
        scorer: Config of their scorers, for `layers.make_scorer`.
        image_shape: Height, width, channels.
        num_classes: Size of the output.
        rngs: `params` initialises, `gate` is the noise of the gates.

    Raises:
        ValueError: If a value is not accepted, here or by a gate or layer.
    """

    def __init__(
        self,
        *,
        granularity: str,
        width: int,
        depth: int,
        num_heads: int,
        mlp_width: int,
        gate: Config,
        scorer: Config,
        image_shape: tuple[int, int, int],
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        for name, value in (("width", width), ("depth", depth)):
            if value < 1:
                raise ValueError(f"model: {name} must be at least 1, got {value}.")
        blocks = [
            TransformerBlock(
                width=width, num_heads=num_heads, mlp_width=mlp_width, rngs=rngs
            )
            for _ in range(depth)
        ]
        self.stem = ConvStem(width=width, image_shape=image_shape, rngs=rngs)
        num_tokens = self.stem.grid.rows * self.stem.grid.columns
        options: dict[str, Any] = dict(gate=gate, scorer=scorer, rngs=rngs)
        if granularity == "tokens":
            self.body: nnx.Module = gated(
                TokenBlocks(blocks),
                granularity=granularity,
                width=width,
                num_tokens=num_tokens,
                **options,
            )
        else:
            self.body = GatedBlocks(
                _gate_block(block, granularity, width, num_tokens, options)
                for block in blocks
            )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, num_classes, rngs=rngs)

    @staticmethod
    def narrowed(config: Config) -> Iterator[dict[str, Any]]:
        """Configs of the same depth, from the narrowest to `config` itself."""
        heads, width = config["num_heads"], config["width"]
        for narrow in range(heads, width + 1, heads):
            hidden = max(1, round(config["mlp_width"] * narrow / width))
            yield dict(config) | dict(width=narrow, mlp_width=hidden)

    @property
    def grid(self) -> PatchGrid:
        """Where the tokens lie; token i is at divmod(i, columns)."""
        return self.stem.grid

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of `images`, whose values are in [0, 1]."""
        tokens, mask = self.body(self.stem(images))
        return self.head(masked_max(self.norm(tokens), mask))


def _gate_block(
    block: TransformerBlock,
    granularity: str,
    width: int,
    num_tokens: int,
    options: dict[str, Any],
) -> nnx.Module:
    """The block with a gate around it or inside of it."""
    options = options | dict(granularity=granularity)
    match granularity:
        case "blocks":
            return gated(block, width=width, **options)
        case "bypass":
            return gated(block, width=width, num_tokens=num_tokens, **options)
        case "heads":
            block.attention = gated(block.attention, **options)
        case "neurons":
            block.mlp = gated(block.mlp, num_blocks=_PARTS, **options)
        case "width":
            block.mlp = gated(block.mlp, num_slices=_PARTS, **options)
        case "experts":
            hidden = block.mlp.up.out_features // _PARTS
            experts = Experts(
                width=width, hidden=hidden, num_experts=_PARTS, rngs=options["rngs"]
            )
            block.mlp = gated(experts, **options)
        case _:
            raise ValueError(
                f"model: granularity must be one of {_GRANULARITIES}, "
                f"got {granularity!r}."
            )
    return block


class ConvStem(nnx.Module):
    """Images to tokens, one for each 4x4 pixels, which sees 9x9 of them.

    Small enough that tokens know little of each other: what the blocks do not see is
    lost, so that it matters which tokens a gate keeps.

    Args:
        width: Features per token.
        image_shape: Height, width, channels.
        rngs: Initialises from the `params` stream.
    """

    def __init__(
        self, *, width: int, image_shape: tuple[int, int, int], rngs: nnx.Rngs
    ):
        height, columns, channels = image_shape
        patch = 4  # two convolutions of stride 2
        self.grid = PatchGrid(-(-height // patch), -(-columns // patch), patch)
        half = width // 2
        self.first = nnx.Conv(channels, half, (5, 5), strides=2, rngs=rngs)
        self.second = nnx.Conv(half, width, (3, 3), strides=2, rngs=rngs)
        shape = (self.grid.rows * self.grid.columns, width)
        noise = jax.random.normal(rngs.params(), shape)
        self.position = nnx.Param(0.02 * noise)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch n features"]:
        """Returns the tokens, row by row of the picture."""
        x = self.second(jax.nn.gelu(self.first(images)))
        return x.reshape(x.shape[0], -1, x.shape[-1]) + self.position[None]


class TokenBlocks(nnx.Module):
    """Transformer blocks in sequence: the host of gated tokens."""

    def __init__(self, blocks):
        self.blocks = nnx.List(blocks)

    def __call__(
        self,
        tokens: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None,
    ) -> Float[Array, "batch n width"]:
        """Runs every block on the tokens that `mask` opens."""
        for block in self.blocks:
            tokens = block(tokens, mask)
        return tokens


class GatedBlocks(nnx.Module):
    """Gated blocks in sequence; every token stays open."""

    def __init__(self, blocks):
        self.blocks = nnx.List(blocks)

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> tuple[Float[Array, "batch n width"], None]:
        """Returns the tokens and no mask."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens, None


def masked_max(
    tokens: Float[Array, "batch n width"], mask: Float[Array, "batch n"] | None
) -> Float[Array, "batch width"]:
    """Largest value of each feature over the open tokens; zeros where none is open."""
    if mask is None:
        return tokens.max(1)
    mask = mask[..., None]
    largest = jnp.where(mask > 0, mask * tokens, -jnp.inf).max(1)
    return jnp.where(jnp.isfinite(largest), largest, 0)
