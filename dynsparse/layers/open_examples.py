"""What blocks and exits share: the host runs on the open examples of a batch alone."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from dynsparse import ops
from dynsparse.layers.base import GatedLayer
from dynsparse.layers.branches import Spread, switch

Tree = PyTree[Float[Array, "..."]]  # arrays [batch, ...]


class OpenExamples(GatedLayer):
    """Runs `compute` for the examples whose gate is open.

    One unit per example. Compact execution gathers the open examples of the batch into
    the smallest capacity that holds them; at batch 1 that is a `cond`.

    Gates of a fixed count do not fit: k of one unit is no choice, and k of the examples
    of a batch would make each answer depend on its neighbours.
    """

    kinds = ("varying", "full")

    def compute(self, inputs: Tree) -> Tree:
        """Runs the host, on open examples alone in compact execution."""
        return self.host(inputs)

    def run(self, inputs: Tree, closed: Tree, mask: Float[Array, "batch"]) -> Tree:
        """Returns `compute(inputs)` where the mask is open, `closed` elsewhere.

        Args:
            inputs: What the host reads, one entry for each example.
            closed: What closed examples give instead, shaped like `compute(inputs)`.
            mask: The decision, in [0, 1].
        """
        count = self.static_count()
        if self.execution == "masked" or count == 1:
            return self._blend(inputs, closed, mask)
        if count == 0:
            return closed
        batch = len(mask)

        def compute(size: int):
            if size == 0:
                return closed
            if size == batch:
                return self._blend(inputs, closed, mask)
            indices = ops.open_indices(mask, size)
            take = lambda tree: jax.tree.map(lambda x: x[indices], tree)
            some = self._blend(take(inputs), take(closed), mask[indices])
            write = lambda x, new: (
                x.astype(new.dtype).at[indices].set(new, unique_indices=True)
            )
            return jax.tree.map(write, closed, some)

        sizes = ops.capacities(batch, self.capacity_steps)
        return switch((mask > 0).sum(), sizes, compute, _spread(mask))

    def _blend(self, inputs, closed, mask):
        def weight(x):
            return mask.reshape(-1, *[1] * (x.ndim - 1))

        inputs = jax.tree.map(lambda x: ops.drop_closed(x, weight(x)), inputs)
        blend = lambda old, new: ops.blend(weight(new), new, old)
        return jax.tree.map(blend, closed, self.compute(inputs))


def _spread(opened: Float[Array, "batch"]) -> Spread:
    """Makes decisions about some examples decisions about all of them."""

    def spread(layer: GatedLayer, size: int, mask: Array) -> Array:
        del layer
        if size < len(opened):
            zeros = jnp.zeros((len(opened), *mask.shape[1:]), mask.dtype)
            chosen = ops.open_indices(opened, size)
            mask = zeros.at[chosen].set(mask, unique_indices=True)
        ran = (opened > 0).reshape(-1, *[1] * (mask.ndim - 1))
        return mask * ran.astype(mask.dtype)  # the surplus is computed for nothing

    return spread
