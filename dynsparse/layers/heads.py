"""Gated heads: each example runs some heads of an attention."""

from flax import nnx

from dynsparse import ops
from dynsparse.gates import Gate
from dynsparse.layers.attention import Attention
from dynsparse.layers.parts import GatedParts
from dynsparse.layers.slices import bias_rows


class GatedHeads(GatedParts):
    """Runs the heads that each example opens, their projections included.

    Args:
        host: The attention.
        scorer: Maps [batch, n, width] to [batch, heads].
        gate: Any kind.
    """

    unit = "attention head of an example"
    score_axis = "example"

    def __init__(
        self,
        *,
        host: Attention,
        scorer: nnx.Module,
        gate: Gate,
    ):
        super().__init__(
            host=host,
            scorer=scorer,
            gate=gate,
            num_parts=host.num_heads,
        )

    def whole(self, x, mask, parts):
        """The attention, its heads weighed."""
        return self.host(x, mask, parts)

    def reads(self, x, mask):
        """The tokens, weighed so that their mean is that of the open ones alone."""
        if mask is None:
            return x
        weight = mask / ops.divisor(mask.mean(-1, keepdims=True))
        return ops.weigh(x, weight[..., None])

    def part(self, index, x, mask):
        """One head."""
        return self.host.head(index, x, mask)

    def shared(self, x):
        """The bias of the output."""
        return bias_rows(self.host.out, x)
