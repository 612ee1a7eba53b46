"""Arrays among the arguments and results of a host, in the order of its call."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


def split(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Takes the arrays out of arguments or results.

    Args:
        tree: Any pytree. Modules in it, such as caches and streams, stay as they are.

    Returns:
        The arrays, and a function that puts others in their place.
    """
    leaves, treedef = jax.tree.flatten(
        tree, is_leaf=lambda x: isinstance(x, nnx.Module)
    )
    places = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype")]
    put = functools.partial(_put, treedef, leaves, places)
    return [jnp.asarray(leaves[i]) for i in places], put


def open_tokens(
    host: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Float[Array, "batch n"] | None:
    """Returns the mask of the tokens that are open in a layer around; None for all.

    Args:
        host: Takes the mask as its second argument if `takes_mask` says so.
        args: Positional arguments.
        kwargs: Keyword arguments.
    """
    if not getattr(host, "takes_mask", False):
        return None
    return kwargs.get("mask", (*args, None, None)[1])


def _put(
    treedef: Any, leaves: Sequence[Any], places: Sequence[int], arrays: Sequence[Any]
) -> Any:
    filled = list(leaves)
    for i, array in zip(places, arrays, strict=True):
        filled[i] = array
    return jax.tree.unflatten(treedef, filled)


def features_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Float[Array, "..."]:
    """Returns what decisions are about: the first array of features in a call.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.

    Raises:
        ValueError: If no argument is one.
    """
    arrays, _ = split((args, list(kwargs.values())))
    for x in arrays:
        if jnp.issubdtype(x.dtype, jnp.floating) and x.ndim > 1:
            return x
    raise ValueError(
        f"it is called with arrays of shapes {[list(x.shape) for x in arrays]}, none "
        f"of which is one of features, [batch, *axes, width]."
    )
