"""Gated layers for the units of any host; `trace/units` finds the axis."""

from flax import nnx

from dynsparse.gates import Gate
from dynsparse.layers.units.gated_units import GatedUnits


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
