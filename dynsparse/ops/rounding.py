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

    Pitfall: entries above 1 (`neural_sort_mask`, `soft_sort_mask`,
    `relaxed_subset_mask`) are clipped to 1, and the expectation is lost.

    Args:
        key: One draw per row.
        mask: In [0, 1].

    Returns:
        Zeros and ones, in the shape and dtype of `mask`.

    Example:
        >>> ops.systematic_round(jax.random.key(0), jnp.full(4, 0.5)).sum()
        Array(2., dtype=float32)
    """
    order_key, start_key = jax.random.split(key)
    order = jnp.argsort(jax.random.uniform(order_key, mask.shape), -1)
    at = lambda values, index: jnp.take_along_axis(values, index, -1)
    wide = jax.lax.stop_gradient(mask).astype(jnp.float32)
    wide = at(jnp.clip(wide, 0, 1), order)
    certain = wide == 1
    step = _fraction_bits(jnp.where(certain, 0, wide))
    reached = jnp.cumsum(step, -1, dtype=jnp.uint32)  # modulo 1: a carry is an integer
    whole = (certain | (reached < step)).sum(-1, dtype=jnp.int32)
    start = jax.random.bits(start_key, (*mask.shape[:-1], 1), jnp.uint32)
    drawn = certain | (reached + start < step)

    part = reached[..., -1].astype(jnp.float32) / 2.0**32
    rounding = 4 * jnp.finfo(jnp.float32).eps * wide.shape[-1] ** 0.5
    rounding = rounding * (whole + 1).astype(jnp.float32)
    slack = jnp.minimum(rounding, 0.25)
    count = jnp.where(part < slack, whole, drawn.sum(-1, dtype=jnp.int32))
    count = jnp.where(part > 1 - slack, whole + 1, count)
    exact = hard_topk_mask(
        2 * drawn.astype(wide.dtype) + wide, count
    )  # drawn, but for a lost carry
    return at(exact, jnp.argsort(order, -1)).astype(mask.dtype)


def _fraction_bits(fraction):
    """Fractions in [0, 1) as multiples of 2^-32."""
    high = jnp.floor(fraction * 2**16)
    low = jnp.floor((fraction * 2**16 - high) * 2**16)
    return (high.astype(jnp.uint32) << 16) + low.astype(jnp.uint32)
