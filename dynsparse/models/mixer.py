"""MLP-Mixer."""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.registry import Config
from dynsparse.layers import Mlp, TokenBlocks
from dynsparse.models.base.checks import check_positive
from dynsparse.models.base.heads import PooledHead
from dynsparse.models.base.images import Patches
from dynsparse.models.base.transformers import (
    NUM_PARTS,
    Rules,
    in_parts,
    transformer_blocks,
    transformer_rules,
)


class Mixer(nnx.Module):
    """Patches, blocks that mix tokens and then channels, a head on the average.

    MLP-Mixer (Tolstikhin et al., 2021, arXiv:2105.01601): S/16 has `patch=16,
    width=512, depth=8, token_width=256, mlp_width=2048`.

    Args:
        patch: Pixels per side; must divide height and width.
        width: Features per token.
        depth: Blocks.
        token_width: Hidden units of the MLP over tokens.
        mlp_width: Hidden units of the MLP over channels.
        num_experts: MLPs over channels of each block, that share its hidden units.
        image_shape, num_classes, rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = ("neurons", "blocks", "experts", "width")
    variants = dict(experts=dict(num_experts=NUM_PARTS))

    def __init__(
        self,
        *,
        patch: int,
        width: int,
        depth: int,
        token_width: int,
        mlp_width: int,
        num_experts: int = 1,
        image_shape: tuple[int, int, int],
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        check_positive(patch=patch, width=width, token_width=token_width)
        self.embed = Patches(
            patch=patch, width=width, image_shape=image_shape, rngs=rngs
        )
        num_tokens = self.embed.grid.rows * self.embed.grid.columns
        blocks = transformer_blocks(
            depth,
            width=width,
            num_heads=1,
            mlp_width=mlp_width,
            num_experts=num_experts,
            attention=lambda: TokenMixing(
                num_tokens=num_tokens, hidden=token_width, rngs=rngs
            ),
            rngs=rngs,
        )
        self.body = TokenBlocks(blocks)
        self.head = PooledHead(
            width=width, num_classes=num_classes, norm=True, rngs=rngs
        )

    @staticmethod
    def narrowed(config: Config) -> Iterator[dict[str, Any]]:
        """Yields configs of the same depth, from the narrowest to `config`."""
        width = config["width"]
        for narrow in range(1, width + 1):
            share = narrow / width
            yield dict(config) | dict(
                width=narrow,
                token_width=max(1, round(config["token_width"] * share)),
                mlp_width=in_parts(config["mlp_width"] * share),
            )

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity, as `transformer_rules` gives them."""
        grid, width = self.embed.grid, self.embed.embed.out_features
        num_tokens = grid.rows * grid.columns
        return transformer_rules(granularity, width=width, num_tokens=num_tokens)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of images that have passed the inputs of a task."""
        return self.head(self.body(self.embed(images))[0])


class TokenMixing(nnx.Module):
    """An MLP over the tokens, the same for each channel.

    Args:
        num_tokens: Tokens per example.
        hidden: Hidden units.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, num_tokens: int, hidden: int, rngs: nnx.Rngs):
        self.mlp = Mlp.create(width=num_tokens, hidden=hidden, rngs=rngs)

    def __call__(
        self, tokens: Float[Array, "batch n width"], mask: None = None
    ) -> Float[Array, "batch n width"]:
        """Mixes all tokens, of which none may be closed."""
        del mask
        return jnp.swapaxes(self.mlp(jnp.swapaxes(tokens, 1, 2)), 1, 2)
