"""What blocks and exits share: the host runs on the open examples of a batch alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Shaped

from dynsparse import ops
from dynsparse.layers.base.branches import Spread, switch
from dynsparse.layers.base.gated_layer import GatedLayer

Tree = PyTree[Shaped[Array, "..."]]  # arrays [batch, ...]


class OpenExamples(GatedLayer):
    """Runs its host for the examples whose gate is open.

    One unit per example. Compact execution gathers the open examples of the batch into
    the smallest capacity that holds them; at batch 1 that is a `cond`.

    Gates of a fixed count do not fit: k of one unit is no choice, and k of the examples
    of a batch would make each answer depend on its neighbours.
    """

    kinds = ("varying", "full")

    def run(
        self,
        compute: Callable[[Tree], Tree],
        inputs: Tree,
        closed: Tree,
        mask: Float[Array, "batch"],
    ) -> Tree:
        """Returns `compute(inputs)` where the mask is open, `closed` elsewhere.

        Args:
            compute: Runs the host, on open examples alone in compact execution.
            inputs: What it reads, one entry for each example.
            closed: What closed examples give instead, shaped like `compute(inputs)`. In
                masked execution None stands for zeros.
            mask: The decision, in [0, 1].
        """
        count = self.static_count()
        if self.execution == "masked" or count == 1:
            return self._blend(compute, inputs, closed, mask)
        if count == 0:
            return closed
        batch = len(mask)

        def branch(size: int):
            if size == 0:
                return closed
            if size == batch:
                return self._blend(compute, inputs, closed, mask)
            indices = ops.open_indices(mask, size)
            take = lambda tree: jax.tree.map(lambda x: x[indices], tree)
            some = self._blend(compute, take(inputs), take(closed), mask[indices])
            write = lambda x, new: (
                x.astype(new.dtype).at[indices].set(new, unique_indices=True)
            )
            return jax.tree.map(write, closed, some)

        sizes = ops.capacities(batch, self.capacity_steps)
        return switch((mask > 0).sum(), sizes, branch, _spread(mask))

    def _blend(self, compute, inputs, closed, mask):
        beside = lambda x: mask.reshape(-1, *[1] * (x.ndim - 1))
        inputs = jax.tree.map(lambda x: ops.drop_closed(x, beside(x)), inputs)

        def blend(old, new):
            old = jnp.zeros_like(new) if old is None else old
            if jnp.issubdtype(new.dtype, jnp.inexact):
                return ops.blend(beside(new), new, old)
            return jnp.where(beside(new) > 0, new, old)

        none = lambda x: x is None
        return jax.tree.map(blend, closed, compute(inputs), is_leaf=none)


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
