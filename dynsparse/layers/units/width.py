"""Gated width: the first units of a host, as many as the density says."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate
from dynsparse.layers.trace.units.run_units import UnitsOfCall
from dynsparse.layers.units.gated_units import GatedUnits


class NestedScorer(nnx.Module):
    """Scores in falling order, for every example: a top-k gate opens the first k.

    Args:
        num_units: Scores.

    Example:
        >>> layers.NestedScorer(num_units=3)(jnp.ones((1, 8)))
        Array([[3., 2., 1.]], dtype=float32)
    """

    reads_input = False
    forbids = False

    def __init__(self, *, num_units: int):
        self.num_units = num_units

    def __call__(
        self, features: Float[Array, "batch *axes"]
    ) -> Float[Array, "batch n"]:
        """Returns n, n - 1, ..., 1 for each example."""
        falling = jnp.arange(self.num_units, 0, -1, dtype=features.dtype)
        return jnp.broadcast_to(falling, (features.shape[0], self.num_units))


class GatedWidth(GatedUnits):
    """Runs the first slices of a host's units: widths that are nested.

    One width for all examples, which the density sets (Yu et al., 2019,
    arXiv:1812.08928; Devvrit et al., 2023, arXiv:2310.07707). Arguments as in
    `GatedUnits`; `num_slices` are its units.

    Args:
        num_slices: Must divide the units.

    Raises:
        ValueError: If the gate is random or not of a fixed count.

    Example:
        >>> rngs, x = nnx.Rngs(0, gate=1), jnp.ones((2, 3, 4))
        >>> up, down = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 4, rngs=rngs)
        >>> rule = dict(granularity="width", num_slices=4)
        >>> rule |= dict(gate=dict(name="hard_topk", density=0.5))
        >>> model = nnx.Sequential(up, jax.nn.relu, down)
        >>> layer = layers.sparsify(model, {"": rule}, x, rngs=rngs)
        >>> type(layer).__name__, layer(x).shape
        ('GatedWidth', (2, 3, 4))
    """

    unit = "slice of hidden units"
    kinds = ("fixed", "full")
    score_axis = "example"
    option = "num_slices"

    def __init__(
        self, *, host: nnx.Module, gate: Gate, num_slices: int, units: str | None = None
    ):
        if gate.random:
            raise ValueError(
                f"GatedWidth opens the first slices, which {type(gate).__name__}, a "
                f"random gate, does not."
            )
        scorer = NestedScorer(num_units=num_slices)
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=num_slices, units=units
        )

    def _compact(self, found: UnitsOfCall, weights: Array) -> Any:
        """Runs the first slices, the same for all examples."""
        count = self.static_count()
        block = found.units.num_units // self.num_units
        if count is None:
            return found.weighed(jnp.repeat(weights, block, -1))
        return found.first(count * block)
