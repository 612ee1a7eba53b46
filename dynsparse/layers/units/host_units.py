"""Gated layers for the units of any host; `trace/units` finds the axis."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from dynsparse.gates import Gate
from dynsparse.layers.trace.units.run_units import UnitsOfCall
from dynsparse.layers.units.gated_units import GatedUnits
from dynsparse.layers.units.width import NestedScorer


class HostChannels(GatedUnits):
    """Runs the groups of channels that each example opens, in any host.

    The channels are those that a convolution reads, norms and depthwise convolutions
    before it included. Arguments as in `GatedUnits`; `num_groups` are its units.

    Args:
        num_groups: Must divide the channels.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 4, 4, 3))
        >>> conv = lambda ins, outs: nnx.Conv(ins, outs, (3, 3), rngs=rngs)
        >>> rule = dict(granularity="channels", num_groups=2)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> rule |= dict(scorer=dict(name="linear"))
        >>> model = nnx.Sequential(conv(3, 4), jax.nn.relu, conv(4, 3))
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape
        ('HostChannels', (2, 4, 4, 3))
    """

    unit = "group of channels of an example"
    score_axis = "example"
    sought = "channels"
    option = "num_groups"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_groups: int,
        units: str | None = None,
    ):
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_groups, units=units
        )


class HostWidth(GatedUnits):
    """Runs the first slices of a host's units: widths that are nested.

    One width for all examples, which the density sets (Yu et al., 2019,
    arXiv:1812.08928; Devvrit et al., 2023, arXiv:2310.07707). Arguments as in
    `GatedUnits`; `num_slices` are its units.

    Args:
        num_slices: Must divide the units.

    Raises:
        ValueError: If the gate is random or not of a fixed count.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 4))
        >>> up, down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        >>> rule = dict(granularity="width", num_slices=4)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> model = nnx.Sequential(up, jax.nn.relu, down)
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape
        ('HostWidth', (2, 3, 4))
    """

    unit = "slice of hidden units"
    kinds = ("fixed", "full")
    score_axis = "example"
    option = "num_slices"

    def __init__(
        self, *, host: nnx.Module, gate: Gate, num_slices: int, units: str | None = None
    ):
        if gate.random:
            raise ValueError(
                f"HostWidth opens the first slices, which {type(gate).__name__}, a "
                f"random gate, does not."
            )
        scorer = NestedScorer(num_units=num_slices)
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_slices, units=units
        )

    def _compact(self, found: UnitsOfCall, weights: Array) -> Any:
        """Runs the first slices, the same for all examples."""
        count = self.static_count()
        block = found.units.num_units // self.num_units
        if count is None:
            return found.weighed(jnp.repeat(weights, block, -1))
        return found.first(count * block)
