"""A pre-norm transformer block."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.layers.hosts.attention import Attention, Cache
from dynsparse.layers.hosts.mlp import Mlp


class TransformerBlock(nnx.Module):
    """Attention and an MLP, each behind a LayerNorm and beside a skip.

    Pre-norm (Xiong et al., 2020, arXiv:2002.04745). A gated attention or MLP is called
    the same way and can stand in its place.

    Args:
        width: Features per token.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of the MLP.
        causal: Whether each token attends to itself and earlier tokens alone.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `num_heads` does not divide `width`.

    Example:
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=nnx.Rngs(0)
        ... )
        >>> block(jnp.ones((1, 3, 4))).shape
        (1, 3, 4)
    """

    masks_tokens = takes_mask = True  # closed tokens do not touch the others

    def __init__(
        self,
        *,
        width: int,
        num_heads: int,
        mlp_width: int,
        causal: bool = False,
        rngs: nnx.Rngs,
    ):
        self.attention_norm = nnx.LayerNorm(width, rngs=rngs)
        self.attention: Any = Attention(
            width=width, num_heads=num_heads, causal=causal, rngs=rngs
        )
        self.mlp_norm = nnx.LayerNorm(width, rngs=rngs)
        self.mlp: Any = Mlp.create(width=width, hidden=mlp_width, rngs=rngs)

    def __call__(
        self,
        tokens: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None = None,
    ) -> Float[Array, "batch n width"]:
        """Returns the tokens; those that are closed hold no meaning."""
        if mask is not None:  # values of closed tokens reach no parameter
            tokens = ops.drop_closed(tokens, mask[..., None])
        tokens = tokens + self.attention(self.attention_norm(tokens), mask)
        return tokens + self.mlp(self.mlp_norm(tokens), mask)

    def step(
        self,
        token: Float[Array, "batch 1 width"],
        cache: Cache,
        place: Int[Array, ""] | int,
        mask: Float[Array, "batch 1"] | None = None,
    ) -> tuple[Float[Array, "batch 1 width"], Cache]:
        """Runs the block on the next token; arguments as in `Attention.step`."""
        opened = jnp.ones(token.shape[:2], token.dtype) if mask is None else mask
        attended, cache = self.attention.step(
            self.attention_norm(token), cache, place, opened
        )
        token = token + attended
        return token + self.mlp(self.mlp_norm(token), mask), cache
