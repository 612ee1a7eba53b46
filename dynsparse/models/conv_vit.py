"""Small vision transformer with a convolutional stem."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse.layers import TokenBlocks
from dynsparse.models.base.heads import leave_features
from dynsparse.models.base.images import PatchGrid, check_images, learned_positions
from dynsparse.models.base.transformers import (
    NUM_PARTS,
    TRANSFORMER_GRANULARITIES,
    Rules,
    narrower_transformers,
    transformer_blocks,
    transformer_rules,
)


class ConvVit(nnx.Module):
    """Convolutional stem, transformer blocks, masked max-pooling, linear head.

    Args:
        width: Features per token.
        depth: Transformer blocks.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each block's MLP.
        num_experts: MLPs of each block that share its hidden units.
        image_shape, num_classes, rngs: As in `models.from_config`.

    Raises:
        ValueError: If a value is not accepted.
    """

    granularities = TRANSFORMER_GRANULARITIES
    variants = dict(experts=dict(num_experts=NUM_PARTS))

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        num_heads: int,
        mlp_width: int,
        num_experts: int = 1,
        image_shape: tuple[int, int, int],
        num_classes: int,
        rngs: nnx.Rngs,
    ):
        if width < 2:
            raise ValueError(f"model: width must be at least 2, got {width}.")
        blocks = transformer_blocks(
            depth,
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            num_experts=num_experts,
            rngs=rngs,
        )
        self.stem = ConvStem(width=width, image_shape=image_shape, rngs=rngs)
        self.body = TokenBlocks(blocks)
        self.norm = nnx.LayerNorm(width, rngs=rngs)
        self.head = nnx.Linear(width, num_classes, rngs=rngs)

    narrowed = staticmethod(narrower_transformers)

    def rules(self, granularity: str) -> Rules:
        """Returns the rules of a granularity, as `transformer_rules` gives them."""
        num_tokens, width = self.stem.position.shape
        return transformer_rules(granularity, width=width, num_tokens=num_tokens)

    @property
    def grid(self) -> PatchGrid:
        """Places of the tokens on the image; token i is at divmod(i, columns)."""
        return self.stem.grid

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch classes"]:
        """Returns the logits of images that have passed the inputs of a task."""
        tokens, mask = self.body(self.stem(images))
        pooled = masked_max(self.norm(tokens), mask)
        leave_features(self, pooled)
        return self.head(pooled)


class ConvStem(nnx.Module):
    """Images to tokens, one per 4x4 pixels, each with a receptive field of 9x9.

    The field is so small that tokens know little of each other: the content of a
    dropped token is lost, so that it matters which tokens a gate keeps.

    Args:
        width: Features per token.
        image_shape: Height, width, channels.
        rngs: Initialises from the `params` stream.
    """

    def __init__(
        self, *, width: int, image_shape: tuple[int, int, int], rngs: nnx.Rngs
    ):
        height, columns, channels = image_shape
        patch = 4  # two convolutions of stride 2
        self.grid = PatchGrid(-(-height // patch), -(-columns // patch), patch)
        half = width // 2
        self.first = nnx.Conv(channels, half, (5, 5), strides=2, rngs=rngs)
        self.second = nnx.Conv(half, width, (3, 3), strides=2, rngs=rngs)
        self.position = learned_positions(
            self.grid.rows * self.grid.columns, width, rngs
        )

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch n features"]:
        """Returns the tokens, row by row of the image."""
        check_images(images)
        x = self.second(jax.nn.gelu(self.first(images)))
        return x.reshape(x.shape[0], -1, x.shape[-1]) + self.position[None]


def masked_max(
    tokens: Float[Array, "batch n width"], mask: Float[Array, "batch n"] | None
) -> Float[Array, "batch width"]:
    """Returns the maximum of each feature over the open tokens, 0 if none is open.

    The maximum is gathered by its index: the gradient of `max` compares values with the
    maximum, and XLA on CPUs may round the two differently, so that no token gets the
    gradient (seen with jaxlib 0.10.2 at batches of 2 and 3).
    """
    if mask is None:
        return _largest(tokens)
    opened = mask[..., None] > 0
    weighed = jnp.where(opened, ops.weigh(tokens, mask[..., None]), -jnp.inf)
    return jnp.where(opened.any(1), _largest(weighed), 0)


def _largest(x: Float[Array, "batch n width"]) -> Float[Array, "batch width"]:
    places = jax.lax.stop_gradient(x).argmax(1, keepdims=True)
    return jnp.take_along_axis(x, places, 1)[:, 0]
