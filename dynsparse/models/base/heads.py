"""Heads that pool, and the features that they read."""

from flax import nnx
from jaxtyping import Array, Float


class Features(nnx.Variable):
    """Input of a head, [batch, width], sown for `nnx.capture`."""


def leave_features(head: nnx.Module, features: Float[Array, "batch width"]):
    """Sows the input of a head under `nnx.capture`; does nothing outside of it.

    Args:
        head: Module that sows the features.
        features: Pooled features, of the same shape at any density.
    """
    if hasattr(head, "__captures__"):
        head.sow(Features, "features", features)


class PooledHead(nnx.Module):
    """Global average pooling and a linear map.

    Args:
        width: Number of features.
        num_classes: Size of the output.
        norm: Whether a LayerNorm comes first.
        rngs: Initialises from the `params` stream.
    """

    def __init__(
        self, *, width: int, num_classes: int, norm: bool = False, rngs: nnx.Rngs
    ):
        self.norm = nnx.LayerNorm(width, rngs=rngs) if norm else None
        self.linear = nnx.Linear(width, num_classes, rngs=rngs)

    def __call__(
        self, features: Float[Array, "batch *axes width"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits."""
        if self.norm is not None:
            features = self.norm(features)
        pooled = features.mean(tuple(range(1, features.ndim - 1)))
        leave_features(self, pooled)
        return self.linear(pooled)
