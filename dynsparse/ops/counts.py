"""Counts of open units: checked where the number is known, clipped where traced."""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from dynsparse.ops.infinite import num_allowed

Count = int | Int[Array, "*#batch"]
RealCount = int | float | Num[Array, "*#batch"]


def num_open(density: float, n: int) -> int:
    """Units of `n` that a density opens: round(density * n), but at least one above 0.

    Rounded in float32, as `traced_num_open` does.

    Args:
        density: In [0, 1].
        n: Units that may open.

    Example:
        >>> ops.num_open(0.25, 16), ops.num_open(0.01, 16), ops.num_open(0.0, 16)
        (4, 1, 0)
    """
    rounded = int(np.round(np.float32(density) * np.float32(n)))
    return min(max(rounded, int(density > 0)), n)


def traced_num_open(
    density: Float[Array, ""], n: Int[Array, "*batch"]
) -> Int[Array, "*batch"]:
    """`num_open` for traced densities and numbers of units.

    Args:
        density: In [0, 1].
        n: Units of each row that may open.

    Example:
        >>> ops.traced_num_open(jnp.float32(0.25), jnp.array([16, 8, 1]))
        Array([4, 2, 1], dtype=int32)
    """
    rounded = jnp.round(density * n.astype(jnp.float32)).astype(jnp.int32)
    return jnp.minimum(jnp.maximum(rounded, (density > 0).astype(jnp.int32)), n)


def require(
    operator: str, accepted: str, value: Any, holds: Callable[[np.ndarray], Any]
):
    """Raises a ValueError that names a concrete value for which `holds` does not."""
    if not isinstance(value, jax.core.Tracer) and not holds(np.asarray(value)).all():
        raise ValueError(f"{operator} needs {accepted}, got {value}.")


def require_count(operator: str, k: RealCount, n: int):
    """Raises a ValueError that names a concrete `k` outside [0, n]."""
    require(operator, f"k in [0, {n}]", k, lambda k: (k >= 0) & (k <= n))


def require_positive(operator: str, **values: int | float | Float[Array, "..."]):
    """Raises a ValueError that names a concrete value that is not above 0."""
    for name, value in values.items():
        require(operator, f"{name} > 0", value, lambda value: value > 0)


def per_row(
    operator: str, k: RealCount, scores: Float[Array, "*batch n"]
) -> Num[Array, "*batch 1"]:
    """`k` with one number per row, in the same kind of number.

    A traced `k` is clipped to [0, n], and each number to the units of its row that are
    not forbidden.
    """
    require_count(operator, k, scores.shape[-1])
    counts = jnp.asarray(k)
    most = num_allowed(scores).astype(counts.dtype)[..., None]
    counts = jnp.broadcast_to(counts[..., None], most.shape)
    return jnp.minimum(jnp.maximum(counts, 0), most)


def widest(k: RealCount, n: int) -> int:
    """Largest value of `k`: itself where it is an int, else n."""
    return k if isinstance(k, int) else n
