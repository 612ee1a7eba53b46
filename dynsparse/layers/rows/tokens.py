"""Dropped tokens: a token that is closed leaves for good."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.layers.rows.open_tokens import OpenTokens


class GatedTokens(OpenTokens):
    """Runs its host on the tokens that the gate opens, and drops the others.

    DynamicViT (Rao et al., 2021, arXiv:2106.02034). A closed token is zero from there
    on, and the mask says where. A host may return the mask beside its tokens, as
    `TokenBlocks` does. Arguments as in `OpenTokens`.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> block = layers.TransformerBlock(
        ...     width=4, num_heads=2, mlp_width=8, rngs=rngs
        ... )
        >>> layer = layers.gated(
        ...     block,
        ...     granularity="tokens",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="evenly_spaced"),
        ...     width=4,
        ...     num_tokens=4,
        ...     rngs=rngs,
        ... )
        >>> tokens, mask = layer(jax.random.normal(jax.random.key(0), (1, 4, 4)))
        >>> mask
        Array([[1., 0., 1., 0.]], dtype=float32)
        >>> jnp.any(tokens != 0, -1)
        Array([[ True, False,  True, False]], dtype=bool)
    """

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> tuple[Float[Array, "batch n width"], Float[Array, "batch n"]]:
        """Returns the host's output, zero at closed tokens, and the mask."""
        return self.run(tokens, jnp.zeros_like(tokens))

    def call_host(
        self,
        tokens: Float[Array, "batch size width"],
        mask: Float[Array, "batch size"] | None,
    ) -> Float[Array, "batch size width"]:
        """Runs the host; the mask that it may return is left."""
        output = self.host(tokens, mask)
        return output[0] if isinstance(output, tuple) else output
