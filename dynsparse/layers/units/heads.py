"""Gated attention heads: each example runs some of the heads of a layer."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.hosts.attention import Attention
from dynsparse.layers.units.parts import GatedParts
from dynsparse.layers.units.slices import bias_rows


class GatedHeads(GatedParts):
    """Runs the heads that each example opens, their projections included.

    Args:
        host: The attention.
        scorer: Maps [batch, n, width] to [batch, heads].
        gate: Any kind.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Attention(width=8, num_heads=4, rngs=rngs),
        ...     granularity="heads",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     rngs=rngs,
        ... )
        >>> layer(jnp.ones((2, 3, 8))).shape  # by two of its four heads
        (2, 3, 8)
    """

    unit = "attention head of an example"
    score_axis = "example"

    def __init__(self, *, host: Attention, scorer: nnx.Module, gate: Gate):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=host.num_heads)

    def whole(
        self,
        x: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None,
        parts: Float[Array, "batch heads"] | None,
    ) -> Float[Array, "batch n width"]:
        """Computes the attention, its heads weighed."""
        return self.host(x, mask, parts)

    def reads(
        self, x: Float[Array, "batch n width"], mask: Float[Array, "batch n"] | None
    ) -> Float[Array, "batch n width"]:
        """Weighs the tokens so that their mean is that of the open ones alone."""
        if mask is None:
            return x
        weight = mask / ops.divisor(mask.mean(-1, keepdims=True))
        return ops.weigh(x, weight[..., None])

    def part(
        self,
        index: int,
        x: Float[Array, "batch n width"],
        mask: Float[Array, "batch n"] | None,
    ) -> Float[Array, "batch n width"]:
        """Computes one head."""
        return self.host.head(index, x, mask)

    def shared(self, x: Float[Array, "batch n width"]) -> Float[Array, "batch n width"]:
        """Computes the bias of the output."""
        return bias_rows(self.host.out, x)
