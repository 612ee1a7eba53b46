"""Values whose derivative would be wrong, and is refused in words."""

import functools
from typing import Any

import jax
from jaxtyping import Array, Shaped


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def undifferentiated(
    reason: str, values: Shaped[Array, "*shape"], beside: Any = ()
) -> Shaped[Array, "*shape"]:
    """Returns `values`; a derivative by anything that they depend on is an error.

    Args:
        reason: What the error says, when the derivative is traced.
        values: Passed on.
        beside: Other arrays, in any tree, by which nothing may be derived either.

    Raises:
        ValueError: If `values` or `beside` are differentiated.
    """
    del reason, beside
    return values


@undifferentiated.defjvp
def _refuse(reason: str, primals, tangents):
    raise ValueError(reason)
