"""Training steps of one run or of several, as one compiled program."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dynsparse.tasks import Batch
from dynsparse.training.placement import Placement
from dynsparse.training.prepare import PreparedRun
from dynsparse.training.step import State, Trainer


class Program:
    """Steps runs that differ only in the numbers of their states and batches.

    One run is stepped as it is. Several are stacked and mapped over by `jax.vmap`,
    which pays where one run leaves a device idle, as a small model leaves a GPU: one
    launch of each operation serves all runs.

    Args:
        runs: Prepared runs with the same `program_key`.

    Raises:
        ValueError: If several runs are to share more than one device.
    """

    def __init__(self, runs: Sequence[PreparedRun]):
        first = runs[0]
        plan = first.settings.train
        self._placement = Placement(
            num_devices=plan.num_devices, batch_size=plan.batch_size
        )
        self._batches = [run.batches for run in runs]
        self._trainer = first.trainer
        if self._several and plan.num_devices > 1:
            raise ValueError(
                "train: num_devices must be 1 for runs that train together, got "
                f"{plan.num_devices}."
            )

    @property
    def _several(self) -> bool:
        return len(self._batches) > 1

    def begin(self, states: Sequence[State]) -> State:
        """Returns the states of the runs in the form that `step` takes."""
        if not self._several:
            return self._placement.spread(states[0])
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        return stacked | dict(step=jnp.copy(states[0]["step"]))

    def step(self, working: State, index: int) -> tuple[State, dict[str, jax.Array]]:
        """Returns the next states and the metrics, each [runs] for several runs.

        Args:
            working: State to update; its buffers are donated.
            index: Number of the batch, from 0.
        """
        return _step(self._trainer, self._several, working, self._read(index))

    def step_unfused(self, working: State, index: int) -> State:
        """Returns the next states, computed with one kernel for each operation.

        Args:
            working: State to start from; it is not donated.
            index: Number of the batch, from 0.
        """
        return _unfused(self._trainer, self._several, working, self._read(index))[0]

    def _read(self, index: int):
        """The batch of a step, each array [runs, ...] for several runs."""
        batches = [batches[index] for batches in self._batches]
        if not self._several:
            return self._placement.divide(batches[0])
        return jax.tree.map(lambda *arrays: np.stack(arrays), *batches)

    def states(self, working: State) -> list[State]:
        """Returns a copy of the state of each run, on the first device."""
        if not self._several:
            return [self._placement.gather(working)]
        apart = {name: part for name, part in working.items() if name != "step"}
        return [
            jax.tree.map(lambda leaf, run=run: leaf[run], apart)
            | dict(step=jnp.copy(working["step"]))
            for run in range(len(self._batches))
        ]

    def values(self, metrics: Mapping[str, jax.Array]) -> list[dict[str, float]]:
        """Returns the metrics of each run; waits for the device."""
        rows = {name: np.atleast_1d(value) for name, value in metrics.items()}
        return [
            {name: float(row[run]) for name, row in rows.items()}
            for run in range(len(self._batches))
        ]


def _stepped(trainer: Trainer, several: bool, state: State, batch: Batch):
    if not several:
        return trainer.step(state, batch)
    # What is due at a step is due for all: no run computes what it discards.
    axes: Any = dict.fromkeys(state, 0) | dict(step=None)
    step = jax.vmap(trainer.step, in_axes=(axes, 0), out_axes=(axes, 0))
    return step(state, batch)


# Compiled once for all runs whose trainers are equal.
_step = jax.jit(_stepped, static_argnums=(0, 1), donate_argnums=2)
UNFUSED = {
    "xla_disable_hlo_passes": "fusion,priority-fusion,multi_output_fusion",
    "xla_backend_optimization_level": 0,
}
_unfused = jax.jit(_stepped, static_argnums=(0, 1), compiler_options=UNFUSED)
