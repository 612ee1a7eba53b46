"""A pre-norm transformer block."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse import ops
from dynsparse.layers.attention import Attention, Cache
from dynsparse.layers.mlp import Mlp


class TransformerBlock(nnx.Module):
    """Attention and an MLP, each behind a LayerNorm and a skip.

    Either may be replaced by a gated one, which is called the same way.

    Args:
        width: Features per token.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of the MLP.
        causal: Whether each token attends to itself and those before it alone.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `num_heads` does not divide `width`.
    """

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
        if mask is not None:  # what closed tokens hold reaches no parameter
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
        """The block for one more token, as in `Attention.step`."""
        opened = jnp.ones(token.shape[:2], token.dtype) if mask is None else mask
        attended, cache = self.attention.step(
            self.attention_norm(token), cache, place, opened
        )
        token = token + attended
        return token + self.mlp(self.mlp_norm(token), mask), cache
