"""What blocks and exits share: the host runs on the open examples of a batch alone."""

from typing import TypeVar

import jax
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.layers.base import GatedLayer

Tree = TypeVar("Tree")


class OpenExamples(GatedLayer):
    """Runs `compute` for the examples whose gate is open; the others pass unchanged.

    One unit per example. Compact execution gathers the open examples of the batch into
    the smallest capacity that holds them; at batch 1 that is a `cond`.

    Gates of a fixed count do not fit: k of one unit is no choice, and k of the examples
    of a batch would make each answer depend on its neighbours.
    """

    kinds = ("varying", "full")
    score_axis = "example"

    def compute(self, inputs: Tree) -> Tree:
        """Maps arrays [batch, ...] to arrays of the same shapes."""
        return self.host(inputs)

    def run(self, inputs: Tree, mask: Float[Array, "batch"]) -> Tree:
        """Returns `compute(inputs)` where the mask is open, `inputs` elsewhere."""
        count = self.static_count()
        if self.execution == "masked" or count == 1:
            return self._blend(inputs, mask)
        if count == 0:
            return inputs
        batch = len(mask)

        def compute(size: int):
            if size == 0:
                return inputs
            if size == batch:
                return self._blend(inputs, mask)
            indices = ops.open_indices(mask, size)
            some = jax.tree.map(lambda x: x[indices], inputs)
            write = lambda x, new: x.at[indices].set(new, unique_indices=True)
            return jax.tree.map(write, inputs, self._blend(some, mask[indices]))

        return ops.capacity_switch((mask > 0).sum(), ops.capacities(batch), compute)

    def _blend(self, inputs, mask):
        def blend(old, new):
            weight = mask.reshape(-1, *[1] * (old.ndim - 1)).astype(old.dtype)
            return weight * new + (1 - weight) * old

        return jax.tree.map(blend, inputs, self.compute(inputs))
