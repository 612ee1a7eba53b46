"""What models have in common, and what they say about themselves beyond their call."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse._internal.registry import Config
from dynsparse.layers import NUM_PARTS


class PatchGrid(NamedTuple):
    """How the tokens of a model lie on its image, row by row.

    Attributes:
        rows: Tokens from top to bottom.
        columns: Tokens from left to right.
        patch: Pixels per side of a token; those at the far edges may overhang.
        others: Tokens before those of the image, such as a class token.
    """

    rows: int
    columns: int
    patch: int
    others: int = 0

    def over_image(
        self, masks: Iterable[Shaped[np.ndarray, "n *units"]]
    ) -> list[Shaped[np.ndarray, "n patches"]]:
        """Those of `masks` that decide over the tokens, and of them the patches."""
        units = self.others + self.rows * self.columns
        return [m[:, self.others :] for m in masks if m.shape[1:] == (units,)]


class Features(nnx.Variable):
    """What a head reads: [batch, width], left for `nnx.capture`."""


def leave_features(head: nnx.Module, features: Float[Array, "batch width"]):
    """Leaves what a head reads, where `nnx.capture` looks for it.

    Args:
        head: The module that holds it.
        features: Pooled: of the same shape whatever was left out.
    """
    if hasattr(head, "__captures__"):  # outside nnx.capture there is no reader
        head.sow(Features, "features", features)


def check_granularity(granularity: str, accepted: tuple[str, ...]):
    """Raises a ValueError that names a granularity which is not `accepted`."""
    if granularity not in accepted:
        raise ValueError(
            f"model: granularity must be one of {accepted}, got {granularity!r}."
        )


def check_positive(**values: int):
    """Raises a ValueError that names a value below 1."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"model: {name} must be at least 1, got {value}.")


class PooledHead(nnx.Module):
    """Average over everything between batch and features, and a linear map.

    Args:
        width: Features.
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


class Patches(nnx.Module):
    """Images to tokens: one linear map of each patch, without overlap.

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
    """Raises a ValueError for images that are not what `Dataset.inputs` returns."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"a model takes floats, got {images.dtype}: pass images through the "
            "`inputs` of their dataset first, or call what training.restore returns."
        )


def learned_positions(n: int, width: int, rngs: nnx.Rngs) -> nnx.Param:
    """Learned position embeddings, [n, width], small at first."""
    return nnx.Param(0.02 * jax.random.normal(rngs.params(), (n, width), jnp.float32))


def narrower_transformers(config: Config) -> Iterator[dict[str, Any]]:
    """Configs of the same depth and heads, from the narrowest to `config` itself."""
    heads, width = config["num_heads"], config["width"]
    for narrow in range(max(heads, 2), width, heads):
        hidden = in_parts(config["mlp_width"] * narrow / width)
        yield dict(config) | dict(width=narrow, mlp_width=hidden)
    yield dict(config)


def in_parts(size: float) -> int:
    """The nearest size, at least one of each, that has equal parts for gates."""
    return NUM_PARTS * max(1, round(size / NUM_PARTS))
