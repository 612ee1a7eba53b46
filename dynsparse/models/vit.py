"""Vision transformer."""

import itertools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.layers import Stage, Stages, TokenBlocks
from dynsparse.models.base.checks import check_positive
from dynsparse.models.base.heads import leave_features
from dynsparse.models.base.images import Patches, PatchGrid, learned_positions
from dynsparse.models.base.transformers import (
    NUM_PARTS,
    TRANSFORMER_GRANULARITIES,
    Rules,
    narrower_transformers,
    transformer_blocks,
    transformer_rules,
)

_STAGES = 3  # early exits


class Vit(nnx.Module):
    """Patches, a class token, transformer blocks, a linear head on the class token.

    ViT (Dosovitskiy et al., 2020, arXiv:2010.11929) in the sizes of DeiT (Touvron et
    al., 2020, arXiv:2012.12877): Ti has `width=192, depth=12, num_heads=3,
    mlp_width=768`, S has `width=384, depth=12, num_heads=6, mlp_width=1536`, both with
    `patch=16` on images of 224x224: 1.25 and 4.6 G MACs.

    Args:
        patch: Pixels per side; must divide height and width.
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        num_experts: MLPs of each block that share its hidden units.
        exits: Whether each third of the blocks has an answer, or the last one alone.
        image_shape, num_classes, rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = (*TRANSFORMER_GRANULARITIES, "exits")
    variants = dict(experts=dict(num_experts=NUM_PARTS), exits=dict(exits=True))

    def __init__(
        self,
        *,
        patch: int,
        width: int,
        depth: int,
        num_heads: int,
        mlp_width: int,
        num_experts: int = 1,
        exits: bool = False,
        image_shape: tuple[int, int, int],
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        check_positive(patch=patch, width=width)
        self.embed = Embed(patch=patch, width=width, image_shape=image_shape, rngs=rngs)
        blocks = transformer_blocks(
            depth,
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            num_experts=num_experts,
            rngs=rngs,
        )
        head = lambda: ClassHead(width=width, num_classes=num_classes, rngs=rngs)
        self.head = None if exits else head()
        if not exits:
            self.body: Any = TokenBlocks(blocks)
            return
        if depth < _STAGES:
            raise ValueError(
                f"model: exits need a depth of at least {_STAGES}, got {depth}."
            )
        cuts = [round(depth * i / _STAGES) for i in range(_STAGES + 1)]
        parts = [nnx.Sequential(*blocks[a:b]) for a, b in itertools.pairwise(cuts)]
        self.body = Stages(
            [Stage(part, head(), num_classes=num_classes) for part in parts]
        )

    narrowed = staticmethod(narrower_transformers)

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity; the class token is always open.

        Args:
            granularity: As in `transformer_rules`, or "exits".
        """
        if granularity == "exits":
            return {"body/rest/*": dict(granularity="exits")}
        num_tokens, width = self.embed.position.shape
        return transformer_rules(
            granularity, width=width, num_tokens=num_tokens, always_open=1
        )

    @property
    def grid(self) -> PatchGrid:
        """Places of the tokens on the image; the first is the class token."""
        return self.embed.grid

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of images that have passed the inputs of a task."""
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
