"""Encoder-only transformer: an output for each token, from all of them."""

from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse.layers import TokenBlocks
from dynsparse.models.base.checks import check_positive
from dynsparse.models.base.images import learned_positions
from dynsparse.models.base.transformers import (
    NUM_PARTS,
    Rules,
    narrower_transformers,
    transformer_blocks,
    transformer_rules,
)


class Encoder(nnx.Module):
    """Token embeddings, transformer blocks in which all attend to all, logits.

    Vaswani et al., 2017, arXiv:1706.03762, without the decoder.

    Args:
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        num_experts: MLPs of each block that share its hidden units.
        vocabulary: Number of different tokens, and of logits.
        length: Tokens of a sequence.
        rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = ("bypass", "blocks", "heads", "neurons", "experts", "width")
    variants = dict(experts=dict(num_experts=NUM_PARTS))

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        num_heads: int,
        mlp_width: int,
        num_experts: int = 1,
        vocabulary: int,
        length: int,
        rngs: nnx.Rngs,
    ):
        check_positive(width=width, vocabulary=vocabulary, length=length)
        self.embed = nnx.Embed(vocabulary, width, rngs=rngs)
        self.position = learned_positions(length, width, rngs)
        blocks = transformer_blocks(
            depth,
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            num_experts=num_experts,
            rngs=rngs,
        )
        self.body: Any = TokenBlocks(blocks)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, vocabulary, use_bias=False, rngs=rngs)

    narrowed = staticmethod(narrower_transformers)

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity, as `transformer_rules` gives them."""
        length, width = self.position.shape
        return transformer_rules(granularity, width=width, num_tokens=length)

    def __call__(
        self, tokens: Int[Array, "batch length"]
    ) -> Float[Array, "batch length vocabulary"]:
        """Returns the logits at each token."""
        x = self.embed(tokens) + self.position[...][None]
        return self.head(self.norm(self.body(x)[0]))
