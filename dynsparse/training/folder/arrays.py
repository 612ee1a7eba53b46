"""A state as arrays by name, and the digests that tell whether a file holds them."""

import functools
import hashlib
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynsparse._internal.atomic_write import write_json
from dynsparse.training.step import State

FILE = "digests.json"


class DamagedError(ValueError):
    """A file of a checkpoint differs from what was written."""


class Kind(NamedTuple):
    """Shape and type of an array.

    Attributes:
        shape: Shape of the array, or of the data of random keys.
        dtype: Name of the type; that of random keys says how they are drawn.
    """

    shape: tuple[int, ...]
    dtype: str


def flatten(state: State) -> dict[str, np.ndarray]:
    """Copies the arrays of a state to the host, by their paths.

    Args:
        state: Tree of arrays; random keys become their data.

    Raises:
        ValueError: If two arrays have the same path.
    """
    named = _named(state)
    host = jax.device_get({name: _data(leaf) for name, leaf in named.items()})
    return {name: np.array(array) for name, array in host.items()}


def kinds_of(state: State) -> dict[str, Kind]:
    """Shape and type of each array of a state, by its path."""
    return {
        name: Kind(tuple(jax.eval_shape(_data, leaf).shape), str(leaf.dtype))
        for name, leaf in _named(state).items()
    }


def unflatten(like: State, arrays: Mapping[str, np.ndarray]) -> State:
    """Returns the state of `arrays`: the inverse of `flatten`.

    Args:
        like: State of the same structure, on the devices where the result shall be.
        arrays: Arrays by path.
    """
    leaves = [_like(leaf, arrays[name]) for name, leaf in _named(like).items()]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


class Digests:
    """Digests of a checkpoint: of its files, and of the arrays in them.

    Attributes:
        kinds: Shapes and types of the arrays, by name.
    """

    def __init__(self, content: Mapping[str, Any]):
        self._content = content
        self.kinds = {
            name: Kind(tuple(array["shape"]), array["dtype"])
            for name, array in content["arrays"].items()
        }

    @classmethod
    def write(
        cls, folder: pathlib.Path, arrays: Mapping[str, np.ndarray], kinds: Any
    ) -> None:
        """Writes the digests of a whole checkpoint into its folder.

        Args:
            folder: Folder of the checkpoint.
            arrays: Saved arrays, by name.
            kinds: Shapes and types of the arrays, by name.
        """
        content: dict[str, Any] = dict(
            arrays={
                name: dict(kinds[name]._asdict(), sha256=_of_array(array))
                for name, array in arrays.items()
            },
            files={
                str(path.relative_to(folder)): _of_file(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        )
        write_json(folder / FILE, content | dict(sha256=_of_content(content)))

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Digests":
        """Reads the digests of a checkpoint.

        Raises:
            DamagedError: If the digests are missing or not what was written.
        """
        try:
            content = json.loads((folder / FILE).read_text())
            wanted = content.pop("sha256")
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise DamagedError(f"{FILE} cannot be read") from error
        if wanted != _of_content(content):
            raise DamagedError(f"{FILE} is damaged")
        return cls(content)

    def check_files(self, folder: pathlib.Path):
        """Refuses a folder with a file that is not what was written.

        Raises:
            DamagedError: With the first such file.
        """
        for name, wanted in self._content["files"].items():
            try:
                found = _of_file(folder / name)
            except OSError as error:
                raise DamagedError(f"{name} cannot be read") from error
            if found != wanted:
                raise DamagedError(f"{name} is damaged")

    def check_arrays(self, arrays: Mapping[str, np.ndarray]):
        """Refuses arrays that differ from the saved ones.

        Raises:
            DamagedError: With the first such array.
        """
        for name, array in self._content["arrays"].items():
            if name not in arrays or _of_array(arrays[name]) != array["sha256"]:
                raise DamagedError(f"the array {name} is not what was saved")


def _named(state: State) -> dict[str, Any]:
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    leaves = jax.tree_util.tree_leaves_with_path(state)
    named = {name(path): leaf for path, leaf in leaves}
    if len(named) < len(leaves):
        raise ValueError("two arrays of a state have the same path: a name with a /")
    return named


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _like(leaf: Any, array: Any) -> jax.Array:
    if _is_key(leaf):
        array = jax.random.wrap_key_data(
            jnp.asarray(array), impl=jax.random.key_impl(leaf)
        )
    return jax.device_put(array, getattr(leaf, "sharding", None))


def _of_array(array: np.ndarray) -> str:
    content: Any = np.ascontiguousarray(array).reshape(-1).view("u1")
    return hashlib.sha256(content).hexdigest()


def _of_file(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_content(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
