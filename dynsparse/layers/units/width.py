"""Gated width: the first hidden units of an MLP, as many as the density says."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse.gates import Gate
from dynsparse.layers.base.gated_layer import GatedLayer
from dynsparse.layers.hosts.mlp import Mlp
from dynsparse.layers.units.slices import bias_rows, slice_size


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


class GatedWidth(GatedLayer):
    """Runs the first slices of an MLP's hidden units: widths that are nested.

    One width for all examples, which the density sets (slimmable networks: Yu et al.,
    2019, arXiv:1812.08928; MatFormer: Devvrit et al., 2023, arXiv:2310.07707): what is
    skipped is a static slice of the weights, without a gather.

    Args:
        host: The MLP.
        gate: A gate of a fixed count, or the dense gate.
        num_slices: Must divide the hidden units.

    Raises:
        ValueError: If `num_slices` does not divide the hidden units, or the gate is
            random or not of a fixed count.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> layer = layers.gated(
        ...     layers.Mlp.create(width=4, hidden=8, rngs=rngs),
        ...     granularity="width",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     num_slices=4,
        ...     rngs=rngs,
        ... )
        >>> layer(jnp.ones((2, 4))).shape  # by the first four hidden units
        (2, 4)
    """

    unit = "slice of hidden units"
    kinds = ("fixed", "full")
    score_axis = "example"

    def __init__(self, *, host: Mlp, gate: Gate, num_slices: int):
        if gate.random:
            raise ValueError(
                f"GatedWidth opens the first slices, which {type(gate).__name__}, a "
                f"random gate, does not."
            )
        hidden = host.up.out_features
        self.slice = slice_size(hidden, "hidden units", num_slices=num_slices)
        scorer = NestedScorer(num_units=num_slices)
        super().__init__(host=host, scorer=scorer, gate=gate, num_units=num_slices)

    def __call__(
        self,
        x: Float[Array, "batch *axes width"],
        mask: Float[Array, "batch n"] | None = None,
    ) -> Float[Array, "batch *axes width"]:
        """Returns the sum over the open slices; `mask` is not needed."""
        count = self.static_count()
        if self.opens_all():
            self.decide_all(x)
            return self.host(x)
        open_slices = self.decide(x).mask
        if count is not None:
            first = self.host.some(slice(count * self.slice), x)
            return first + bias_rows(self.host.down, x)
        weights = jnp.repeat(open_slices, self.slice, -1)
        lead, hidden = weights.shape
        weights = weights.reshape(lead, *[1] * (x.ndim - 2), hidden)
        return self.host.weighed(x, weights)
