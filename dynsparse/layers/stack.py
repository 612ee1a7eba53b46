"""Transformer blocks in a row, gated in one way."""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.registry import Config
from dynsparse.layers.experts import Experts
from dynsparse.layers.simple_scorers import FirstOpen
from dynsparse.layers.sparsify import gated
from dynsparse.layers.transformer import TransformerBlock

NUM_PARTS = 8  # blocks of neurons, experts, slices of the width


class TokenBlocks(nnx.Module):
    """Transformer blocks in sequence: the host of gated tokens.

    Args:
        blocks: In order.
    """

    def __init__(self, blocks: Sequence[nnx.Module]):
        self.blocks = nnx.List(blocks)

    def __call__(
        self,
        tokens: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None = None,
    ) -> Float[Array, "batch n width"]:
        """Runs every block on the tokens that `mask` opens."""
        for block in self.blocks:
            tokens = block(tokens, mask)
        return tokens


class GatedBlocks(nnx.Module):
    """Gated blocks in sequence; every token stays open.

    Args:
        blocks: In order.
    """

    def __init__(self, blocks: Sequence[nnx.Module]):
        self.blocks = nnx.List(blocks)

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> tuple[Float[Array, "batch n width"], None]:
        """Returns the tokens and no mask."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens, None


def gated_stack(
    blocks: Sequence[TransformerBlock],
    *,
    granularity: str,
    width: int,
    num_tokens: int,
    class_token: bool = False,
    gate: Config,
    scorer: Config,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Gates a row of transformer blocks.

    Args:
        blocks: What to run, in order; their attention may be another mixing of tokens.
        granularity: "tokens": one gate in front chooses the tokens that all blocks see.
            With a gate in each block: "bypass", tokens skip it; "blocks", examples do;
            "heads", examples run some heads; "neurons", tokens run some eighths of the
            MLP; "experts", some of eight MLPs, each an eighth of its size; "width", all
            run the first eighths of the MLP.
        width: Features per token.
        num_tokens: Of each example.
        class_token: Whether the first token is open whatever a gate says.
        gate: Config of the gates, for `gates.from_config`.
        scorer: Config of their scorers, for `make_scorer`.
        rngs: Streams `params` and `gate`.

    Returns:
        A module that maps tokens to tokens and the mask of those that are left, which
        is None where all are.

    Raises:
        ValueError: If a value is not accepted, here or by a gate or layer.
    """

    def around(host: nnx.Module, **own: Any) -> nnx.Module:
        layer = gated(
            host, granularity=granularity, gate=gate, scorer=scorer, rngs=rngs, **own
        )
        if class_token and "num_tokens" in own:
            layer.scorer = FirstOpen(layer.scorer)
        return layer

    def inside(block: TransformerBlock) -> nnx.Module:
        match granularity:
            case "blocks":
                return around(block, width=width)
            case "bypass":
                return around(block, width=width, num_tokens=num_tokens)
            case "heads":
                block.attention = around(block.attention)
            case "neurons":
                block.mlp = around(block.mlp, num_blocks=NUM_PARTS)
            case "width":
                block.mlp = around(block.mlp, num_slices=NUM_PARTS)
            case "experts":
                hidden, rest = divmod(block.mlp.up.out_features, NUM_PARTS)
                if rest:
                    raise ValueError(
                        f"model: {NUM_PARTS} experts must divide mlp_width, got "
                        f"{block.mlp.up.out_features}."
                    )
                block.mlp = around(
                    Experts(
                        width=width, hidden=hidden, num_experts=NUM_PARTS, rngs=rngs
                    )
                )
        return block

    if granularity == "tokens":
        return around(TokenBlocks(blocks), width=width, num_tokens=num_tokens)
    return GatedBlocks([inside(block) for block in blocks])
