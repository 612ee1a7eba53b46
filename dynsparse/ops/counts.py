"""How many of n units: checked where the number is known, clipped where traced."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from dynsparse.ops.infinite import num_allowed

Count = int | Int[Array, "*#batch"]
RealCount = int | float | Num[Array, "*#batch"]


def num_open(density: float, n: int) -> int:
    """Units of `n` that a density opens: round(density * n), but one at least above 0.

    Rounded in float32, as a traced one is.
    """
    rounded = int(np.round(np.float32(density) * np.float32(n)))
    return min(max(rounded, int(density > 0)), n)


def traced_num_open(
    density: Float[Array, ""], n: Int[Array, "*batch"]
) -> Int[Array, "*batch"]:
    """`num_open` of what is traced, for any numbers of units."""
    rounded = jnp.round(density * n.astype(jnp.float32)).astype(jnp.int32)
    return jnp.minimum(jnp.maximum(rounded, (density > 0).astype(jnp.int32)), n)


def require_count(operator: str, k: RealCount, n: int):
    """Raises a ValueError that names a concrete `k` outside [0, n]."""
    if isinstance(k, jax.core.Tracer):
        return
    values = np.asarray(k)
    if not ((values >= 0) & (values <= n)).all():
        raise ValueError(f"{operator} needs k in [0, {n}], got {k}.")


def require_positive(operator: str, **values: int | float | Float[Array, "..."]):
    """Raises a ValueError that names a concrete value that is not above 0."""
    for name, value in values.items():
        if isinstance(value, jax.core.Tracer):
            continue
        if not (np.asarray(value) > 0).all():
            raise ValueError(f"{operator} needs {name} > 0, got {value}.")


def per_row(
    operator: str, k: RealCount, scores: Float[Array, "*batch n"]
) -> Num[Array, "*batch 1"]:
    """Returns `k` with one number per row; int stays int.

    A traced one is clipped to [0, n], and each to the units of its row that are not
    forbidden.
    """
    require_count(operator, k, scores.shape[-1])
    counts = jnp.asarray(k)
    most = num_allowed(scores).astype(counts.dtype)[..., None]
    counts = jnp.broadcast_to(counts[..., None], most.shape)
    return jnp.minimum(jnp.maximum(counts, 0), most)


def widest(k: RealCount, n: int) -> int:
    """The largest count that `k` can be: itself where it is an int, else n."""
    return k if isinstance(k, int) else n
