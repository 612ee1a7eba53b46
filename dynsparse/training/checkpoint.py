"""Checkpoints of a run, through Orbax."""

import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

from dynsparse.training.step import State

_STATE = "state"

Shape = tuple[int, ...]


class OtherCheckpointError(ValueError):
    """A folder holds a checkpoint of another model, or of other code."""


class Checkpoints:
    """The checkpoints of one run; the newest two are kept.

    Saving returns at once and goes on in the background. A checkpoint appears under its
    step only when it is whole, so that a kill leaves the one before.

    Args:
        directory: Where they live.
        cleans: Whether to remove what a killed process left unfinished: for the process
            that holds the run, since another may be writing just that.
    """

    def __init__(self, directory: pathlib.Path, *, cleans: bool = False):
        self._directory = directory
        newest_two: Any = ocp.training.preservation_policies.LatestN(2)
        self._checkpointer = ocp.training.Checkpointer(
            str(directory.absolute()),
            preservation_policy=newest_two,
            cleanup_tmp_directories=cleans,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_):
        self._checkpointer.close()

    @property
    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        newest = self._checkpointer.latest
        return None if newest is None else newest.step

    def save(self, state: State):
        """Saves `state` under its step, unless that step is there already."""
        step = int(state["step"])
        if step != self.latest:
            self._checkpointer.save_checkpointables_async(
                step, {_STATE: state}, force=True
            )

    def restore(self, like: State) -> State:
        """Returns the newest state.

        Args:
            like: A state of the same shapes, such as the one before the first step.

        Raises:
            OtherCheckpointError: If that checkpoint holds other names or shapes.
        """
        stored = self._checkpointer.checkpointables_metadata(self.latest).metadata
        self._expect(_shapes(like), _shapes(stored[_STATE]))
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=leaf.sharding
            ),
            like,
        )
        loaded = self._checkpointer.load_checkpointables(
            self.latest, {_STATE: abstract}
        )
        return loaded[_STATE]

    def _expect(self, wanted: Mapping[str, Shape], found: Mapping[str, Shape]):
        for name in sorted({*wanted, *found}):
            if wanted.get(name) != found.get(name):
                raise OtherCheckpointError(
                    f"{self._directory} is of another model or version of the library: "
                    f"{name} has shape {found.get(name, 'none')} there, "
                    f"{wanted.get(name, 'none')} here; choose another folder."
                )


def _shapes(tree: Any) -> dict[str, Shape]:
    """The shape of each array by its path, a key's as that of its data."""
    bare = jax.tree.map(_bare, tree)
    leaves = jax.tree_util.tree_leaves_with_path(bare)
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return {name(path): tuple(leaf.shape) for path, leaf in leaves}


def _bare(leaf: Any) -> Any:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.eval_shape(jax.random.key_data, leaf)
    return leaf
