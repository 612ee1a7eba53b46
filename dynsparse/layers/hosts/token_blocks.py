"""Blocks of tokens in a row: the host of dropped tokens."""

from collections.abc import Sequence

from flax import nnx
from jaxtyping import Array, Float


class TokenBlocks(nnx.Module):
    """Blocks that map tokens to tokens, one after the other.

    Args:
        blocks: Run in this order; each is called with tokens and, where some are
            closed, the mask.

    Example:
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=nnx.Rngs(0)
        ... )
        >>> tokens, mask = layers.TokenBlocks([block])(jnp.ones((1, 3, 4)))
        >>> tokens.shape, mask
        ((1, 3, 4), None)
    """

    masks_tokens = takes_mask = True  # closed tokens do not touch the others

    def __init__(self, blocks: Sequence[nnx.Module]):
        self.blocks = nnx.List(blocks)

    def __call__(
        self,
        tokens: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None = None,
    ) -> tuple[Float[Array, "batch n width"], Float[Array, "batch n"] | None]:
        """Runs every block on the tokens that `mask` opens; returns them and it."""
        closed = () if mask is None else (mask,)
        for block in self.blocks:
            tokens = block(tokens, *closed)
        return tokens, mask
