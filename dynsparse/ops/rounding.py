"""Random rounding of a soft mask to a hard one with the same expectation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse.ops.hard import hard_topk_mask


def systematic_round(
    key: PRNGKeyArray, mask: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    r"""Hard mask whose expectation is `mask` and whose count is exactly its sum.

    Systematic sampling (Madow, 1949): with cumulative sums $C_i$ and one uniform u per
    row, unit i opens where $C_i - u$ passes an integer. In a random order of the units,
    so that neighbours are not tied to each other. Where the sum k is an integer, up to
    rounding, every draw opens exactly k units; elsewhere the floor or the ceiling of k.

    The sums are carried in 32-bit integers modulo 1, where passing an integer is a
    carry: no drift, however long the row.

    No gradient: `straight_through(systematic_round(key, mask), mask)` gives that of
    `mask`, which is unbiased for losses that are linear in the mask.

    Misuse: entries above 1 (`neural_sort_mask`, `soft_sort_mask`,
    `relaxed_subset_mask`) are clipped to 1, and the expectation is lost.

    Args:
        key: One draw per row.
        mask: In [0, 1].

    Returns:
        Zeros and ones, in the shape and dtype of `mask`.
    """
    order_key, start_key = jax.random.split(key)
    n = mask.shape[-1]
    order = jax.random.permutation(order_key, n)
    wide = mask.astype(jnp.float32)
    wide = jnp.clip(jax.lax.stop_gradient(wide), 0, 1)[..., order]
    certain = wide == 1
    step = _fraction_bits(jnp.where(certain, 0, wide))
    start = jax.random.bits(start_key, (*mask.shape[:-1], 1), jnp.uint32)
    reached = start + jnp.cumsum(step, -1, dtype=jnp.uint32)  # modulo 1
    drawn = (certain | (reached < step)).astype(jnp.float32)

    total = wide.sum(-1)
    slack = 8 * jnp.finfo(jnp.float32).eps * n**0.5 * jnp.maximum(total, 1)
    fewest = jnp.floor(total + slack).astype(jnp.int32)
    most = jnp.ceil(total - slack).astype(jnp.int32)
    count = jnp.clip(drawn.sum(-1).astype(jnp.int32), fewest, jnp.maximum(most, fewest))
    exact = hard_topk_mask(2 * drawn + wide, count)  # differs if rounding lost a carry
    return exact[..., jnp.argsort(order)].astype(mask.dtype)


def _fraction_bits(fraction):
    """Fractions in [0, 1) as multiples of 2^-32."""
    high = jnp.floor(fraction * 2**16)
    low = jnp.floor((fraction * 2**16 - high) * 2**16)
    return (high.astype(jnp.uint32) << 16) + low.astype(jnp.uint32)
