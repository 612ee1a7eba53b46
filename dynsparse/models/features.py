"""What the head of a model reads, left for whoever compares passes."""

from typing import Any

from flax import nnx
from jaxtyping import Array, Float


class Features(nnx.Variable):
    """What a head reads: [batch, width], left for `nnx.capture`."""


def leave_features(head: nnx.Module, features: Float[Array, "batch width"]):
    """Leaves what a head reads, where `nnx.capture` looks for it.

    Args:
        head: The module that holds it.
        features: Pooled: of the same shape whatever was left out.
    """
    if hasattr(head, "__captures__"):  # outside nnx.capture there is no reader
        newest: Any = lambda _, new: new
        head.sow(Features, "features", features, init_fn=lambda: None, reduce_fn=newest)
