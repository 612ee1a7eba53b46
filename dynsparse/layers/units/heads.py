"""Gated heads: each example runs some of the heads of an attention."""

from flax import nnx

from dynsparse.gates import Gate
from dynsparse.layers.units.gated_units import GatedUnits


class GatedHeads(GatedUnits):
    """Runs the heads that each example opens, in any attention.

    Where heads share keys and values, a unit is the group that shares them.
    Arguments as in `GatedUnits`; `num_heads` are its units.

    Args:
        num_heads: Number of heads, or of groups.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 8))
        >>> attention = nnx.MultiHeadAttention(4, 8, decode=False, rngs=rngs)
        >>> rule = dict(granularity="heads", scorer=dict(name="linear"))
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> layer = layers.sparsify(attention, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer.num_units, layer(x).shape
        ('GatedHeads', 4, (2, 3, 8))
    """

    unit = "attention head of an example"
    score_axis = "example"
    sought = "split"
    option = "num_heads"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_heads: int,
        units: str | None = None,
    ):
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_heads, units=units
        )
