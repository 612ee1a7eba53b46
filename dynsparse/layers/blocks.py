"""Gated blocks: an example skips a residual block, or runs it."""

from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.gates.base import Gate
from dynsparse.layers.base import GatedLayer


class GatedBlock(GatedLayer):
    """Runs its host for the examples whose gate is open; the others pass unchanged.

    One unit per example and one gate per block, scored from the block's own input
    (SkipNet: Wang et al., 2018; ConvNet-AIG: Veit and Belongie, 2018). Compact
    execution gathers the open examples of the batch into the smallest capacity that
    holds them; at batch 1 that is a `cond`.

    Gates of a fixed count do not fit: k of one unit is no choice, and k of the examples
    of a batch would make each answer depend on its neighbours.

    Args:
        host: Maps [batch, *axes, width] to the same shape, its own skip included.
        scorer: Maps [batch, *axes, width] to [batch, 1].
        gate: A gate whose count varies, or the dense gate.
    """

    unit = "residual block of an example"
    kinds = ("varying", "full")

    def __init__(self, *, host: nnx.Module, scorer: nnx.Module, gate: Gate):
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=1)

    def __call__(
        self, x: Float[Array, "batch *axes width"]
    ) -> Float[Array, "batch *axes width"]:
        """Returns the host's output where the gate is open, `x` elsewhere."""
        count = self.static_count()
        if count == 1:
            self.decide_all(x)
            return self.host(x)
        mask = self.decide(x).mask[:, 0]
        if self.execution == "masked":
            return self._run(x, mask)
        if count == 0:
            return x

        batch = x.shape[0]

        def compute(size: int):
            if size == 0:
                return x
            if size == batch:
                return self._run(x, mask)
            indices = ops.open_indices(mask, size)
            return x.at[indices].set(
                self._run(x[indices], mask[indices]), unique_indices=True
            )

        return ops.capacity_switch((mask > 0).sum(), ops.capacities(batch), compute)

    def _run(self, x, mask):
        mask = mask.reshape(-1, *[1] * (x.ndim - 1))
        return mask * self.host(x) + (1 - mask) * x
