"""Values that refuse to be differentiated, because the derivative would be wrong."""

import functools
from typing import Any

import jax
from jaxtyping import Array, Shaped


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def undifferentiated(
    reason: str, values: Shaped[Array, "*shape"], beside: Any = ()
) -> Shaped[Array, "*shape"]:
    """The same `values`, whose derivative by anything that they depend on is an error.

    Args:
        reason: Text of the error, raised when the derivative is traced.
        values: Returned unchanged.
        beside: Other arrays, in any tree, by which nothing may be differentiated.

    Raises:
        ValueError: If `values` or `beside` are differentiated.

    Example:
        >>> loss = lambda x: ops.undifferentiated("take masked execution", x)
        >>> jax.grad(loss)(1.0)
        Traceback (most recent call last):
            ...
        ValueError: take masked execution...
    """
    del reason, beside
    return values


@undifferentiated.defjvp
def _refuse(reason: str, primals, tangents):
    raise ValueError(reason)
