"""Data parallelism: a step on one device, or on several that share each batch."""

from collections.abc import Mapping

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from dynsparse.training.step import State

_AXIS = "batch"


class Placement:
    """Devices of a run: each holds the state and an equal part of each batch.

    A step is written for the whole batch; XLA divides it, and sums over devices where
    they have to agree: gradients, rates that a penalty squares, loads of experts.

    Args:
        num_devices: Number of devices each batch is sharded over.
        batch_size: Examples of a batch, a multiple of `num_devices`.

    Raises:
        ValueError: If there are fewer devices, or they cannot share a batch.
    """

    def __init__(self, *, num_devices: int, batch_size: int):
        devices = jax.devices()
        if num_devices > len(devices):
            raise ValueError(
                f"train: num_devices must be at most {len(devices)}, as many as there "
                f"are here, got {num_devices}."
            )
        if batch_size % num_devices:
            raise ValueError(
                f"train: batch_size must be a multiple of num_devices={num_devices}, "
                f"got {batch_size}."
            )
        mesh = jax.make_mesh(
            (num_devices,),
            (_AXIS,),
            axis_types=(AxisType.Auto,),
            devices=devices[:num_devices],
        )
        self._first = devices[0]
        self._whole = NamedSharding(mesh, PartitionSpec())
        self._divided = NamedSharding(mesh, PartitionSpec(_AXIS))

    def spread(self, state: State) -> State:
        """Replicates the state to every device, in buffers that steps may donate."""
        return jax.device_put(state, self._whole, may_alias=False)

    def divide(self, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
        """Puts a part of each array of a batch, [batch, ...], on each device."""
        return jax.device_put(dict(batch), self._divided)

    def gather(self, state: State) -> State:
        """Copies the state to the first device, where runs evaluate and save."""
        return jax.device_put(state, self._first, may_alias=False)
