"""Gated channels: each example runs some of the channels between convolutions."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.trace.units.run_units import UnitsOfCall
from dynsparse.layers.units.gated_units import GatedUnits

_MAX_CALLS = 64  # examples of a batch that get convolutions of their own


class GatedChannels(GatedUnits):
    """Runs the groups of channels that each example opens, in any host.

    Feature boosting and suppression (Gao et al., 2019, arXiv:1810.05331) and channel
    gating (Hua et al., 2019, arXiv:1805.12549): what is not computed is not read
    either. The channels are those that a convolution reads, norms and depthwise
    convolutions before it included. Arguments as in `GatedUnits`; `num_groups` are its
    units.

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
        ('GatedChannels', (2, 4, 4, 3))
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

    def _compact(self, found: UnitsOfCall, weights: Array) -> Any:
        """Runs the open groups: example by example where the count is fixed.

        On a CPU that is faster than group by group: a convolution to few channels
        wastes a CPU, and one over examples with kernels of their own has no fast form
        but one call each.
        """
        count = self.static_count()
        if count is None or self.forced_count is not None or len(weights) > _MAX_CALLS:
            return super()._compact(found, weights)
        if count == 0:
            return found.first(0)
        groups = ops.open_indices(weights, count)
        weights = jnp.take_along_axis(weights, groups, -1)  # 0 for what scores forbid
        size = found.units.num_units // self.num_units
        within = jnp.arange(size, dtype=groups.dtype)
        channels = (groups[..., None] * size + within[None, None]).reshape(
            len(weights), count * size
        )
        return found.row_by_row(channels, jnp.repeat(weights, size, -1))
