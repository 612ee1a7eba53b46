"""Images as tokens: patches, and where they lie."""

from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Shaped


class PatchGrid(NamedTuple):
    """Places of a model's tokens on its image, row by row.

    Attributes:
        rows: Tokens from top to bottom.
        columns: Tokens from left to right.
        patch: Pixels per side of a token; tokens at the far edges may overhang.
        others: Number of tokens before those of the image, such as a class token.
    """

    rows: int
    columns: int
    patch: int
    others: int = 0

    def mostly(self, pixels: Bool[Array, "n height width"]) -> Bool[Array, "n patches"]:
        """Returns the patches of which at least half of the pixels are true.

        Args:
            pixels: Truth by pixel.
        """
        n, height, width = pixels.shape
        rows, columns, patch, _ = self
        overhang = (0, rows * patch - height), (0, columns * patch - width)
        cells = jnp.pad(pixels, ((0, 0), *overhang))
        cells = cells.reshape(n, rows, patch, columns, patch)
        return (cells.mean((2, 4)) >= 0.5).reshape(n, -1)

    def over_image(
        self, masks: Iterable[Shaped[np.ndarray, "n *units"]]
    ) -> list[Shaped[np.ndarray, "n patches"]]:
        """Returns the masks over tokens, without the tokens before the image."""
        units = self.others + self.rows * self.columns
        return [m[:, self.others :] for m in masks if m.shape[1:] == (units,)]


class Patches(nnx.Module):
    """Images to tokens: the same linear map of each patch, without overlap.

    Args:
        patch: Pixels per side; must divide height and width.
        width: Features per token.
        image_shape: Height, width, channels.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `patch` does not divide the image.
    """

    def __init__(
        self,
        *,
        patch: int,
        width: int,
        image_shape: tuple[int, int, int],
        rngs: nnx.Rngs,
    ):
        height, columns, channels = image_shape
        if height % patch or columns % patch:
            raise ValueError(
                f"model: patch={patch} must divide the image, {height}x{columns}."
            )
        self.grid = PatchGrid(height // patch, columns // patch, patch)
        side = (patch, patch)
        self.embed = nnx.Conv(channels, width, side, strides=patch, rngs=rngs)

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch n features"]:
        """Returns the tokens, row by row of the image."""
        check_images(images)
        x = self.embed(images)
        return x.reshape(x.shape[0], -1, x.shape[-1])


def check_images(images: Array):
    """Raises a ValueError for images that have not passed the inputs of a task."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"a model takes floats, got {images.dtype}: pass images through the "
            "`inputs` of their task first, or call what training.restore returns."
        )


def learned_positions(n: int, width: int, rngs: nnx.Rngs) -> nnx.Param:
    """Returns learned position embeddings, [n, width], initially small."""
    return nnx.Param(0.02 * jax.random.normal(rngs.params(), (n, width), jnp.float32))
