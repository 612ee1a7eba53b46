"""Vision transformer with eight granularities."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.registry import Config
from dynsparse.layers import STACKED, EarlyExits, TokenBlocks, gated_stack
from dynsparse.models.base import (
    Patches,
    PatchGrid,
    check_granularity,
    check_positive,
    learned_positions,
    leave_features,
    narrower_transformers,
    transformer_blocks,
)

_STAGES = 3  # early exits


class Vit(nnx.Module):
    """Patches, a class token, transformer blocks, a linear head on the class token.

    ViT (Dosovitskiy et al., 2020, arXiv:2010.11929) in the sizes of DeiT (Touvron et
    al., 2020, arXiv:2012.12877): Ti has `width=192, depth=12, num_heads=3,
    mlp_width=768`, S has `width=384, depth=12, num_heads=6, mlp_width=1536`, both with
    `patch=16` on images of 224x224: 1.25 and 4.6 G MACs.

    Args:
        granularity: "tokens", "bypass", "blocks", "heads", "neurons", "experts" or
            "width", as in `layers.gated_stack`, where the class token is always open;
            "exits": an answer after each third of the blocks, as in
            `layers.EarlyExits`.
        patch: Pixels per side; must divide height and width.
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        gate, scorer, image_shape, num_classes, rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted, here or by a gate or layer.
    """

    def __init__(
        self,
        *,
        granularity: str,
        patch: int,
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
        check_granularity(granularity, (*STACKED, "exits"))
        check_positive(patch=patch, width=width)
        self.embed = Embed(patch=patch, width=width, image_shape=image_shape, rngs=rngs)
        blocks = transformer_blocks(
            depth, width=width, num_heads=num_heads, mlp_width=mlp_width, rngs=rngs
        )
        head = lambda: ClassHead(width=width, num_classes=num_classes, rngs=rngs)
        options: dict[str, Any] = dict(gate=gate, scorer=scorer, rngs=rngs)
        if granularity == "exits":
            if depth < _STAGES:
                raise ValueError(
                    f"model: exits need a depth of at least {_STAGES}, got {depth}."
                )
            cuts = [round(depth * i / _STAGES) for i in range(_STAGES + 1)]
            stages = [
                TokenBlocks(blocks[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)
            ]
            exits = [head() for _ in stages]
            self.head = None
            self.body: Any = EarlyExits(
                stages, exits, num_classes=num_classes, **options
            )
        else:
            self.head = head()
            self.body = gated_stack(
                blocks,
                granularity=granularity,
                width=width,
                num_tokens=self.embed.num_tokens,
                class_token=True,
                **options,
            )

    narrowed = staticmethod(narrower_transformers)

    @property
    def grid(self) -> PatchGrid:
        """Places of the tokens on the image; the first is the class token."""
        return self.embed.grid

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of images that have passed `Dataset.inputs`."""
        tokens = self.embed(images)
        if self.head is None:
            return self.body(tokens)
        return self.head(self.body(tokens)[0])


class Embed(nnx.Module):
    """Images to tokens: a class token and the patches, with their positions.

    Args:
        patch: Pixels per side; must divide height and width.
        width: Features per token.
        image_shape: Height, width, channels.
        rngs: Initialises from the `params` stream.
    """

    def __init__(
        self,
        *,
        patch: int,
        width: int,
        image_shape: tuple[int, int, int],
        rngs: nnx.Rngs,
    ):
        self.patches = Patches(
            patch=patch, width=width, image_shape=image_shape, rngs=rngs
        )
        self.grid = self.patches.grid._replace(others=1)
        self.num_tokens = 1 + self.grid.rows * self.grid.columns
        self.class_token = learned_positions(1, width, rngs)
        self.position = learned_positions(self.num_tokens, width, rngs)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch n features"]:
        """Returns the tokens, the class token first."""
        patches = self.patches(images)
        first = self.class_token[None].astype(patches.dtype)
        first = jnp.broadcast_to(first, (patches.shape[0], 1, patches.shape[-1]))
        return jnp.concatenate([first, patches], 1) + self.position[None]


class ClassHead(nnx.Module):
    """LayerNorm and a linear map of the class token.

    Args:
        width: Features per token.
        num_classes: Size of the output.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, width: int, num_classes: int, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.linear = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits."""
        first = self.norm(tokens[:, 0])
        leave_features(self, first)
        return self.linear(first)
