"""Dropped tokens: a token that is closed leaves for good."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from dynsparse.layers.open_tokens import OpenTokens


class GatedTokens(OpenTokens):
    """Runs its host on the tokens that the gate opens (DynamicViT: Rao et al., 2021).

    What was closed is zero from there on, and the mask says where.
    """

    def __call__(
        self, tokens: Float[Array, "batch n width"]
    ) -> tuple[Float[Array, "batch n width"], Float[Array, "batch n"]]:
        """Returns the host's output, zero at closed tokens, and the mask."""
        return self.run(tokens, jnp.zeros_like(tokens))
