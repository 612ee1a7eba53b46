"""A state as plain arrays by name, and back."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsparse.training.digests import Kind
from dynsparse.training.step import State


def flatten(state: State) -> dict[str, np.ndarray]:
    """Copies the arrays of a state to the host, by their paths.

    Args:
        state: Of arrays; keys become their data.

    Raises:
        ValueError: If two of them have one path.
    """
    named = _named(state)
    host = jax.device_get({name: _bare(leaf) for name, leaf in named.items()})
    return {name: np.array(array) for name, array in host.items()}


def kinds_of(state: State) -> dict[str, Kind]:
    """The shape and type of each array of a state, by its path."""
    return {
        name: Kind(tuple(jax.eval_shape(_bare, leaf).shape), str(leaf.dtype))
        for name, leaf in _named(state).items()
    }


def unflatten(like: State, arrays: Mapping[str, np.ndarray]) -> State:
    """Returns the state that `flatten` made `arrays` of.

    Args:
        like: A state of the same structure, on the devices where it shall be.
        arrays: By path.
    """
    leaves = [_like(leaf, arrays[name]) for name, leaf in _named(like).items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _named(state: State) -> dict[str, Any]:
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    leaves = jax.tree_util.tree_leaves_with_path(state)
    named = {name(path): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise ValueError("two arrays of a state have the same path: a name with a /")
    return named


def _bare(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _like(leaf: Any, array: Any) -> jax.Array:
    if _is_key(leaf):
        array = jax.random.wrap_key_data(
            jnp.asarray(array), impl=jax.random.key_impl(leaf)
        )
    return jax.device_put(array, getattr(leaf, "sharding", None))
