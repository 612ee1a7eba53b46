"""How many of n units: checked where the number is known, clipped where traced."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

Count = int | Int[Array, "*#batch"]
RealCount = int | float | Num[Array, "*#batch"]


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
    """Returns `k` with one number per row, within [0, n]; int stays int."""
    n = scores.shape[-1]
    require_count(operator, k, n)
    clipped = jnp.clip(jnp.asarray(k), 0, n)
    return jnp.broadcast_to(clipped[..., None], (*scores.shape[:-1], 1))


def widest(k: RealCount, n: int) -> int:
    """The largest count that `k` can be: itself where it is an int, else n."""
    return k if isinstance(k, int) else n
