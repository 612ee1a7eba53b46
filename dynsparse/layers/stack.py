"""Transformer blocks in a row, gated in one way."""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.registry import Config
from dynsparse.layers.experts import Experts
from dynsparse.layers.first_open import FirstOpen
from dynsparse.layers.gated import gated
from dynsparse.layers.granularities import GRANULARITIES, NUM_PARTS, STACKED, options_of
from dynsparse.layers.transformer import TransformerBlock


class TokenBlocks(nnx.Module):
    """Transformer blocks in sequence: the host of gated tokens.

    Args:
        blocks: Run in this order; each is called with tokens and mask.

    Example:
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=nnx.Rngs(0)
        ... )
        >>> layers.TokenBlocks([block])(jnp.ones((1, 3, 4))).shape
        (1, 3, 4)
    """

    masks_tokens = True

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
        blocks: Run in this order; each is called with tokens.

    Example:
        >>> model = layers.GatedBlocks([nnx.Linear(4, 4, rngs=nnx.Rngs(0))])
        >>> tokens, mask = model(jnp.ones((1, 3, 4)))
        >>> tokens.shape, mask
        ((1, 3, 4), None)
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
        granularity: One of `STACKED`. "tokens": one gate in front chooses the tokens
            that all blocks see. With a gate in each block: "bypass", tokens skip it;
            "blocks", examples do; "heads", examples run some heads; "neurons", tokens
            run some eighths of the MLP; "experts", some of eight MLPs, each an eighth
            of its size; "width", all run the first eighths of the MLP.
        width: Features per token.
        num_tokens: Tokens of each example.
        class_token: Whether the first token is open whatever a gate says.
        gate: Config of the gates, for `gates.from_config`.
        scorer: Config of the gates' scorers, for `make_scorer`.
        rngs: Streams `params` and `gate`.

    Returns:
        A module that maps tokens to tokens and the mask of those that are left, which
        is None where all are.

    Raises:
        ValueError: If a value is not accepted, here or by a gate or layer.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=rngs
        ... )
        >>> body = layers.gated_stack(
        ...     [block],
        ...     granularity="tokens",
        ...     width=4,
        ...     num_tokens=3,
        ...     class_token=True,
        ...     gate=dict(name="hard_topk", density=0.34),
        ...     scorer=dict(name="linear"),
        ...     rngs=rngs,
        ... )
        >>> _, mask = body(jnp.ones((1, 3, 4)))
        >>> mask
        Array([[1., 0., 0.]], dtype=float32)
    """
    if granularity not in STACKED:
        raise ValueError(f"granularity must be one of {STACKED}, got {granularity!r}.")
    row = GRANULARITIES[granularity]
    given = dict(
        width=width, num_tokens=num_tokens, num_blocks=NUM_PARTS, num_slices=NUM_PARTS
    )

    def around(host: nnx.Module) -> Any:
        accepted = {*options_of(row.layer_of(host)), row.width_of(host)}
        own: dict[str, Any] = {name: given[name] for name in given if name in accepted}
        layer = gated(
            host, granularity=granularity, gate=gate, scorer=scorer, rngs=rngs, **own
        )
        if class_token and "num_tokens" in own:
            layer.scorer = FirstOpen(layer.scorer)
        return layer

    def inside(block: TransformerBlock) -> nnx.Module:
        if row.place == "block":
            return around(block)
        if row.place == "attention":
            block.attention = around(block.attention)
        elif granularity == "experts":
            block.mlp = around(_experts(block.mlp.up.out_features, width, rngs))
        else:
            block.mlp = around(block.mlp)
        return block

    if row.place == "stack":
        return around(TokenBlocks(blocks))
    return GatedBlocks([inside(block) for block in blocks])


def _experts(mlp_width: int, width: int, rngs: nnx.Rngs) -> Experts:
    """Experts that have together as many hidden units as an MLP."""
    hidden, rest = divmod(mlp_width, NUM_PARTS)
    if rest:
        raise ValueError(
            f"model: {NUM_PARTS} experts must divide mlp_width, got {mlp_width}."
        )
    return Experts(width=width, hidden=hidden, num_experts=NUM_PARTS, rngs=rngs)
