"""Tables of embeddings, read by codes."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def look_up(
    table: Float[Array, "codes width"], codes: Int[Array, "*rows"]
) -> Float[Array, "*rows width"]:
    """Looks up the rows of a table: zeros for a code outside it.

    Args:
        table: One row for each code.
        codes: Of any integer type.
    """
    if codes.dtype.itemsize < 4:  # too narrow for the number of rows
        codes = codes.astype(jnp.int32)
    past = jnp.asarray(len(table), codes.dtype)
    codes = jnp.where(codes < 0, past, codes)  # -1 is not the last one
    return table.at[codes].get(mode="fill", fill_value=0)
