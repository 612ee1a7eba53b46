"""The base of modules around a host: how they read its call and answer for it."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Shaped

from dynsparse.layers.base import branches
from dynsparse.layers.base.arguments import features_of
from dynsparse.layers.base.execution import Axis


class StandIn(nnx.Module):
    """Module that stands where its host stood, and answers for it.

    Attributes:
        host: The module that was there.
        execution: As in `Executed`.
        score_axis: As in `GatedLayer`.
    """

    host: Any
    execution: str
    score_axis: Axis

    def __getattr__(self, name: str) -> Any:
        """Returns what the host has by this name: its methods and attributes stay."""
        host = vars(self).get("host")
        if name.startswith("_") or host is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")
        return getattr(host, name)

    def features(self, args: Any, kwargs: Any) -> Shaped[Array, "batch *axes"]:
        """Returns what the layer decides about, of the arguments of its host.

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
        """
        if self.score_axis == "fields":
            return args[0]
        if self.score_axis == "answer":
            return args[0].logits
        return features_of(args, kwargs)

    def nothing(self, x: Shaped[Array, "batch *axes"]) -> Shaped[Array, "..."]:
        """Zeros shaped like the host's output; a scalar 0 in masked execution.

        Args:
            x: The host's input.
        """
        if self.execution == "masked":
            return jnp.asarray(0.0)  # weakly typed: takes the type of the output
        output = branches.output_shape(self.host, x)
        return jnp.zeros(output.shape, output.dtype)
