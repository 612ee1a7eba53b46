"""Gated neurons: each token runs some blocks of the hidden units of a host."""

from flax import nnx

from dynsparse.gates import Gate
from dynsparse.layers.units.gated_units import GatedUnits


class GatedNeurons(GatedUnits):
    """Runs the blocks of hidden units that each token opens, in any host.

    MoEfication (Zhang et al., 2022, arXiv:2110.01786) for gated MLPs, MLPs inside of a
    block and adapters alike. Arguments as in `GatedUnits`; `num_blocks` are its units.

    Args:
        num_blocks: Must divide the hidden units.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 4))
        >>> up, down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        >>> rule = dict(granularity="neurons", num_blocks=4)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> rule |= dict(scorer=dict(name="linear"))
        >>> model = nnx.Sequential(up, jax.nn.relu, down)
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape  # by two blocks of four
        ('GatedNeurons', (2, 3, 4))
    """

    unit = "block of hidden units of a token"
    score_axis = "rows"
    option = "num_blocks"

    def __init__(
        self,
        *,
        host: nnx.Module,
        scorer: nnx.Module,
        gate: Gate,
        num_blocks: int,
        units: str | None = None,
    ):
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_blocks, units=units
        )
