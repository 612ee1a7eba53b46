"""Residual multilayer perceptron for vectors of features."""

from collections.abc import Iterator
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.registry import Config
from dynsparse.layers import Mlp
from dynsparse.models.base.checks import check_positive
from dynsparse.models.base.transformers import NUM_PARTS, Rules, in_parts


class ResidualMlp(nnx.Module):
    """A linear map, residual blocks of a norm and an MLP, a linear map.

    The network that Gorishniy et al., 2021, arXiv:2106.11959, call ResNet for tables.

    Args:
        width: Features between the blocks.
        depth: Blocks.
        mlp_width: Hidden units of each block's MLP.
        num_features: Features of an example.
        num_outputs: Size of the output.
        rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = ("neurons", "width")

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        mlp_width: int,
        num_features: int,
        num_outputs: int,
        rngs: nnx.Rngs,
    ):
        check_positive(width=width, depth=depth, mlp_width=mlp_width)
        check_positive(num_features=num_features, num_outputs=num_outputs)
        self.embed = nnx.Linear(num_features, width, rngs=rngs)
        self.blocks: Any = nnx.List(
            [Block(width=width, mlp_width=mlp_width, rngs=rngs) for _ in range(depth)]
        )
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, num_outputs, rngs=rngs)

    @staticmethod
    def narrowed(config: Config) -> Iterator[dict[str, Any]]:
        """Yields configs of the same depth, from the narrowest to `config`."""
        width = config["width"]
        for narrow in range(1, width + 1):
            hidden = in_parts(config["mlp_width"] * narrow / width)
            yield dict(config) | dict(width=narrow, mlp_width=hidden)

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity: in eighths of the MLP of each block.

        Args:
            granularity: "neurons", of which each example runs its own, or "width",
                of which all run the first.
        """
        parts = dict(neurons="num_blocks", width="num_slices")[granularity]
        rule: dict[str, Any] = {"granularity": granularity, parts: NUM_PARTS}
        return {"blocks/*/mlp": rule}

    def __call__(
        self, features: Float[Array, "batch num_features"]
    ) -> Float[Array, "batch num_outputs"]:
        """Returns the outputs of each example."""
        x = self.embed(features)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Block(nnx.Module):
    """A norm and an MLP, beside a skip connection.

    Args:
        width: Features of an example.
        mlp_width: Hidden units.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, width: int, mlp_width: int, rngs: nnx.Rngs):
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.mlp = Mlp.create(width=width, hidden=mlp_width, rngs=rngs)

    def __call__(self, x: Float[Array, "batch width"]) -> Float[Array, "batch width"]:
        """Returns the features after the block."""
        return x + self.mlp(self.norm(x))
