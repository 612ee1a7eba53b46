"""Gated neurons: each token runs some blocks of an MLP's hidden units."""

import jax.numpy as jnp
from flax import nnx

from dynsparse.gates import Gate
from dynsparse.layers.mlp import Mlp
from dynsparse.layers.parts import GatedParts
from dynsparse.layers.slices import bias_rows, sliced


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
    """

    unit = "block of hidden units of a token"
    score_axis = "rows"

    def __init__(
        self,
        *,
        host: Mlp,
        scorer: nnx.Module,
        gate: Gate,
        num_blocks: int,
    ):
        hidden = host.up.out_features
        if hidden % num_blocks:
            raise ValueError(
                f"num_blocks={num_blocks} must divide the {hidden} hidden units."
            )
        super().__init__(
            host=host,
            scorer=scorer,
            gate=gate,
            num_parts=num_blocks,
        )
        self.block = hidden // num_blocks

    def whole(self, x, mask, parts):
        """The MLP, its hidden units weighed block by block."""
        del mask
        if parts is None:
            return self.host(x)
        return self.host.weighed(x, jnp.repeat(parts, self.block, -1))

    def part(self, index, x, mask):
        """One block of hidden units."""
        del mask
        units = slice(index * self.block, (index + 1) * self.block)
        hidden = self.host.activation(sliced(self.host.up, outputs=units)(x))
        return sliced(self.host.down, inputs=units)(hidden)

    def shared(self, x):
        """The bias of the output."""
        return bias_rows(self.host.down, x)
