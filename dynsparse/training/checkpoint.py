"""Checkpoints of a run, through Orbax."""

import pathlib
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from dynsparse.training.step import State

_STATE = "state"


class Checkpoints:
    """The checkpoints of one run; the newest two are kept.

    Saving returns at once and goes on in the background. A checkpoint appears under its
    step only when it is whole, so that a kill leaves the one before.

    Args:
        directory: Where they live.
    """

    def __init__(self, directory: pathlib.Path):
        newest_two: Any = ocp.training.preservation_policies.LatestN(2)
        self._checkpointer = ocp.training.Checkpointer(
            str(directory.absolute()),
            preservation_policy=newest_two,
            cleanup_tmp_directories=True,
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
        """
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
