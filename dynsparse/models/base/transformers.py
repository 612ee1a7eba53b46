"""Rows of transformer blocks: their sizes, and the rules that gate them."""

from collections.abc import Callable, Iterator
from typing import Any

from flax import nnx

from dynsparse._internal.registry import Config
from dynsparse.layers import Experts, TransformerBlock
from dynsparse.models.base.checks import check_positive

NUM_PARTS = 8  # blocks of neurons, experts, slices of the width
_PLACES = dict(  # of what is gated, below a body of transformer blocks
    tokens="",
    bypass="/blocks/*",
    blocks="/blocks/*",
    heads="/blocks/*/attention",
    neurons="/blocks/*/mlp",
    experts="/blocks/*/mlp",
    width="/blocks/*/mlp",
)
TRANSFORMER_GRANULARITIES = tuple(_PLACES)

Rules = dict[str, dict[str, Any]]  # of `layers.sparsify`, without gate and scorer


def transformer_blocks(
    depth: int,
    *,
    width: int,
    num_heads: int,
    mlp_width: int,
    num_experts: int = 1,
    causal: bool = False,
    attention: Callable[[], nnx.Module] | None = None,
    rngs: nnx.Rngs,
) -> list[TransformerBlock]:
    """Returns transformer blocks in a row.

    Args:
        depth: Number of blocks.
        width: Features per token.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each MLP.
        num_experts: MLPs of each block that share its hidden units; 1 for one alone.
        causal: Whether tokens attend to earlier ones only.
        attention: Makes the mixing of tokens that replaces the attention of a block.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If a number is below 1, or `num_experts` does not divide
            `mlp_width`.
    """
    check_positive(depth=depth, width=width, num_heads=num_heads, mlp_width=mlp_width)
    check_positive(num_experts=num_experts)
    hidden, rest = divmod(mlp_width, num_experts)
    if rest:
        raise ValueError(
            f"model: {num_experts} experts must divide mlp_width, got {mlp_width}."
        )
    blocks = []
    for _ in range(depth):
        block = TransformerBlock(
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            causal=causal,
            rngs=rngs,
        )
        if attention is not None:
            block.attention = attention()
        if num_experts > 1:
            block.mlp = Experts(
                width=width, hidden=hidden, num_experts=num_experts, rngs=rngs
            )
        blocks.append(block)
    return blocks


def transformer_rules(
    granularity: str, *, width: int, num_tokens: int, always_open: int = 0
) -> Rules:
    """Rules that gate a `body` of transformer blocks in one way.

    Args:
        granularity: One of `TRANSFORMER_GRANULARITIES`. "tokens": one gate in front
            chooses the tokens that all blocks see. With a gate in each block: "bypass",
            tokens skip it; "blocks", examples do; "heads", examples run some heads;
            "neurons", tokens run some eighths of the MLP; "experts", some of its
            experts; "width", all run the first eighths of the MLP.
        width: Features per token.
        num_tokens: Tokens of each example.
        always_open: First tokens that are open whatever a gate says.
    """
    tokens = dict(width=width, num_tokens=num_tokens, always_open=always_open)
    options: dict[str, dict[str, Any]] = dict(
        tokens=tokens,
        bypass=tokens,
        blocks=dict(width=width),
        neurons=dict(num_blocks=NUM_PARTS),
        width=dict(num_slices=NUM_PARTS),
    )
    rule = dict(granularity=granularity) | options.get(granularity, {})
    return {f"body{_PLACES[granularity]}": rule}


def narrower_transformers(config: Config) -> Iterator[dict[str, Any]]:
    """Yields configs of the same depth and heads, from the narrowest to `config`."""
    heads, width = config["num_heads"], config["width"]
    for narrow in range(max(heads, 2), width, heads):
        hidden = in_parts(config["mlp_width"] * narrow / width)
        yield dict(config) | dict(width=narrow, mlp_width=hidden)
    yield dict(config)


def in_parts(size: float) -> int:
    """Returns the nearest multiple of `NUM_PARTS`, at least one of it."""
    return NUM_PARTS * max(1, round(size / NUM_PARTS))
