"""Where a step runs: on one device, or on several that share a batch."""

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from dynsparse.training.step import State

_AXIS = "batch"


class Placement:
    """Data parallelism: every device holds the state and a part of each batch.

    A step is written for the whole batch; XLA divides it, and sums what devices have to
    agree on: gradients, rates that a penalty squares, what experts share.

    Args:
        num_devices: At most those that there are.
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
        """The state on every device, to be given up to steps."""
        return jax.device_put(state, self._whole, may_alias=False)

    def divide(self, *batch: np.ndarray) -> tuple[jax.Array, ...]:
        """Arrays of a batch, [batch, ...], a part on each device."""
        return jax.device_put(batch, self._divided)

    def gather(self, state: State) -> State:
        """A copy of the state on the first device, where runs evaluate and save."""
        return jax.device_put(state, self._first, may_alias=False)
