"""Self-attention that leaves out closed tokens."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse import ops

_MAX_EXPONENT = 5.0  # bounds a closed token's part in the gradient of its mask


class Cache(NamedTuple):
    """Keys and values of the tokens that an attention has read so far.

    Attributes:
        keys: One per place and head.
        values: One per place and head.
        opened: 1 at places of open tokens, 0 elsewhere.

    Example:
        >>> attention = layers.Attention(width=4, num_heads=2, rngs=nnx.Rngs(0))
        >>> cache = attention.empty_cache(batch=1, places=3)
        >>> cache.keys.shape, cache.opened
        ((1, 3, 2, 2), Array([[0., 0., 0.]], dtype=float32))
    """

    keys: Float[Array, "batch places heads head"]
    values: Float[Array, "batch places heads head"]
    opened: Float[Array, "batch places"]


def masked_attention(
    query: Float[Array, "batch n heads head"],
    key: Float[Array, "batch m heads head"],
    value: Float[Array, "batch m heads head"],
    mask: Float[Array, "batch m"] | None,
    *,
    causal: bool = False,
) -> Float[Array, "batch n heads head"]:
    """Softmax attention over the open tokens.

    The exponentials are multiplied by the mask and renormalised, which gives exactly
    the answer of attention over the open tokens alone and, unlike a boolean mask, a
    gradient for the mask. Exponents are measured from the logarithm of the largest of
    these products, so that no sum of them is smaller than 1. Exponents of closed tokens
    are clipped, which bounds the gradient of their mask and leaves the output as it is.
    Sums are in float32 at least.

    Args:
        query: One per token and head.
        key: One per token and head.
        value: One per token and head.
        mask: In [0, 1], or None when every token is open.
        causal: Whether each token attends to itself and earlier tokens alone.

    Returns:
        One vector per token and head; zeros where no token is open.

    Example:
        >>> x = jnp.arange(6.0).reshape(1, 3, 1, 2)
        >>> mask = jnp.array([[0.0, 1.0, 1.0]])
        >>> masked = layers.masked_attention(x, x, x, mask)
        >>> alone = layers.masked_attention(x, x[:, 1:], x[:, 1:], None)
        >>> bool(jnp.allclose(masked, alone))
        True
    """
    # Heads first and one division per output: on a CPU, several times faster for 64
    # tokens than a normalised [query, key] matrix with the heads behind.
    if mask is not None:
        key, value = (ops.drop_closed(x, mask[..., None, None]) for x in (key, value))
    query, key, value = (jnp.moveaxis(x, 2, 1) for x in (query, key, value))
    wide = jnp.float64 if query.dtype == jnp.float64 else jnp.float32
    logits = jnp.einsum(
        "bhqd,bhkd->bhqk",
        query * query.shape[-1] ** -0.5,
        key,
        preferred_element_type=wide,
    )
    if mask is None and not causal:
        largest = logits.max(-1, keepdims=True)
        weights = jnp.exp(logits - jax.lax.stop_gradient(largest))
    else:
        n = logits.shape[-1]
        ones = jnp.ones((1, n), wide)
        mask = (ones if mask is None else mask)[:, None, None].astype(wide)
        if causal:
            mask = mask * jnp.tril(jnp.ones((1, 1, n, n), wide))
        seen, opened = jax.lax.stop_gradient((logits, mask))
        products = jnp.where(opened > 0, seen + jnp.log(opened), -jnp.inf)
        largest = products.max(-1, keepdims=True)
        largest = jnp.where(jnp.isfinite(largest), largest, 0)
        bound = jnp.where(mask > 0, jnp.inf, _MAX_EXPONENT)
        weights = jnp.exp(jnp.minimum(logits - largest, bound)) * mask
    total = weights.sum(-1, keepdims=True)
    summed = jnp.einsum(
        "bhqk,bhkd->bhqd",
        weights.astype(value.dtype),
        value,
        preferred_element_type=wide,
    )
    output = summed / jnp.where(total > 0, total, 1)
    return jnp.moveaxis(output.astype(value.dtype), 1, 2)


class Attention(nnx.Module):
    """Multi-head self-attention.

    Args:
        width: Features per token.
        num_heads: Must divide `width`.
        causal: Whether each token attends to itself and earlier tokens alone.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `num_heads` does not divide `width`.

    Example:
        >>> attention = layers.Attention(width=4, num_heads=2, rngs=nnx.Rngs(0))
        >>> attention(jnp.ones((1, 3, 4)), jnp.array([[1.0, 1.0, 0.0]])).shape
        (1, 3, 4)
    """

    takes_mask = True

    def __init__(
        self, *, width: int, num_heads: int, causal: bool = False, rngs: nnx.Rngs
    ):
        if width % num_heads:
            raise ValueError(f"num_heads={num_heads} must divide width={width}.")
        self.num_heads = num_heads
        self.causal = causal
        self.qkv = nnx.Linear(width, 3 * width, rngs=rngs)
        self.out = nnx.Linear(width, width, rngs=rngs)

    @property
    def width(self) -> int:
        """Features per token."""
        return self.qkv.in_features

    def __call__(
        self,
        tokens: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None = None,
    ) -> Float[Array, "batch n width"]:
        """Attends over the tokens that `mask` opens."""
        if mask is not None:  # their queries too, whose gradients meet the others'
            tokens = ops.drop_closed(tokens, mask[..., None])
        query, key, value = self._split(self.qkv(tokens))
        attended = masked_attention(query, key, value, mask, causal=self.causal)
        return self.out(attended.reshape(tokens.shape))

    def empty_cache(self, batch: int, places: int) -> Cache:
        """Builds the cache of `places` tokens, before the first."""
        shape = (batch, places, self.num_heads, self.width // self.num_heads)
        dtype = self.qkv.kernel[...].dtype
        zeros = jnp.zeros(shape, dtype)
        return Cache(zeros, zeros, jnp.zeros(shape[:2], dtype))

    def step(
        self,
        token: Float[Array, "batch 1 width"],
        cache: Cache,
        place: Int[Array, ""] | int,
        mask: Float[Array, "batch 1"],
    ) -> tuple[Float[Array, "batch 1 width"], Cache]:
        """Attends from the next token of each example to itself and earlier ones.

        Args:
            token: The next token.
            cache: Keys and values of the tokens before it.
            place: Number of tokens before it.
            mask: 1 where the token is open; a closed token is not remembered.

        Returns:
            The output for the token, and the cache with it.
        """
        query, key, value = self._split(self.qkv(token))
        put = lambda old, new: jax.lax.dynamic_update_slice_in_dim(
            old, new.astype(old.dtype), place, 1
        )
        cache = Cache(*map(put, cache, (key, value, mask)))
        attended = masked_attention(query, cache.keys, cache.values, cache.opened)
        return self.out(attended.reshape(token.shape)), cache

    def _split(self, qkv):
        *lead, width = qkv.shape
        parts = qkv.reshape(*lead, 3, self.num_heads, width // (3 * self.num_heads))
        return jnp.moveaxis(parts, 2, 0)
