"""Gated neurons: each token runs some blocks of an MLP's hidden units."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate
from dynsparse.layers.hosts.mlp import Mlp
from dynsparse.layers.units.parts import GatedParts
from dynsparse.layers.units.slices import bias_rows, slice_size


class GatedNeurons(GatedParts):
    """Runs the blocks of hidden units that each token opens.

    The hidden units are cut into blocks of equal size, in order (MoEfication: Zhang et
    al., 2022, arXiv:2110.01786, groups them by what fires together first).

    Args:
        host: The MLP.
        scorer: Maps [*rows, width] to [*rows, num_blocks].
        gate: Any kind.
        num_blocks: Must divide the hidden units.

    Raises:
        ValueError: If `num_blocks` does not divide the hidden units.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Mlp.create(width=4, hidden=8, rngs=rngs),
        ...     granularity="neurons",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     num_blocks=4,
        ...     rngs=rngs,
        ... )
        >>> _, captured = nnx.capture(layer, gates.GateRecord)(jnp.ones((2, 3, 4)))
        >>> gates.records(captured)[""].mask.sum(-1)  # blocks of each token
        Array([[2., 2., 2.],
               [2., 2., 2.]], dtype=float32)
    """

    unit = "block of hidden units of a token"
    score_axis = "rows"

    def __init__(self, *, host: Mlp, scorer: nnx.Module, gate: Gate, num_blocks: int):
        hidden = host.up.out_features
        self.block = slice_size(hidden, "hidden units", num_blocks=num_blocks)
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_blocks)

    def whole(
        self,
        x: Float[Array, "*rows width"],
        mask: Float[Array, "batch n"] | None,
        parts: Float[Array, "*rows blocks"] | None,
    ) -> Float[Array, "*rows width"]:
        """Computes the MLP, its hidden units weighed block by block."""
        if parts is None:
            return self.host(x)
        return self.host.weighed(x, jnp.repeat(parts, self.block, -1))

    def part(
        self,
        index: int,
        x: Float[Array, "rows width"],
        mask: Float[Array, "rows"] | None,
    ) -> Float[Array, "rows width"]:
        """Computes one block of hidden units."""
        return self.host.some(slice(index * self.block, (index + 1) * self.block), x)

    def shared(self, x: Float[Array, "*rows width"]) -> Float[Array, "*rows width"]:
        """Computes the bias of the output."""
        return bias_rows(self.host.down, x)
