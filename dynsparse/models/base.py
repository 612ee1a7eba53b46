"""Parts that several models share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Shaped

from dynsparse._internal.registry import Config
from dynsparse.layers import Experts, TransformerBlock

NUM_PARTS = 8  # blocks of neurons, experts, slices of the width
_PLACES = dict(  # of what is gated, below a body of transformer blocks
    tokens="",
    bypass="/blocks/*",
    blocks="/blocks/*",
    heads="/blocks/*/attention",
    neurons="/blocks/*/mlp",
    experts="/blocks/*/mlp",
    width="/blocks/*/mlp",
)
TRANSFORMER_GRANULARITIES = tuple(_PLACES)

Rules = dict[str, dict[str, Any]]  # of `layers.sparsify`, without gate and scorer


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

    def over_image(
        self, masks: Iterable[Shaped[np.ndarray, "n *units"]]
    ) -> list[Shaped[np.ndarray, "n patches"]]:
        """Returns the masks over tokens, without the tokens before the image."""
        units = self.others + self.rows * self.columns
        return [m[:, self.others :] for m in masks if m.shape[1:] == (units,)]


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


def transformer_rules(
    granularity: str, *, width: int, num_tokens: int, always_open: int = 0
) -> Rules:
    """Rules that gate a `body` of transformer blocks in one way.

    Args:
        granularity: One of `TRANSFORMER_GRANULARITIES`. "tokens": one gate in front
            chooses the tokens that all blocks see. With a gate in each block: "bypass",
            tokens skip it; "blocks", examples do; "heads", examples run some heads;
            "neurons", tokens run some eighths of the MLP; "experts", some of its
            experts; "width", all run the first eighths of the MLP.
        width: Features per token.
        num_tokens: Tokens of each example.
        always_open: First tokens that are open whatever a gate says.
    """
    tokens = dict(width=width, num_tokens=num_tokens, always_open=always_open)
    options: dict[str, dict[str, Any]] = dict(
        tokens=tokens,
        bypass=tokens,
        blocks=dict(width=width),
        neurons=dict(num_blocks=NUM_PARTS),
        width=dict(num_slices=NUM_PARTS),
    )
    rule = dict(granularity=granularity) | options.get(granularity, {})
    return {f"body{_PLACES[granularity]}": rule}


def check_positive(**values: int):
    """Raises a ValueError that names a value below 1."""
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"model: {name} must be at least 1, got {value}.")


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


def transformer_blocks(
    depth: int,
    *,
    width: int,
    num_heads: int,
    mlp_width: int,
    num_experts: int = 1,
    causal: bool = False,
    attention: Callable[[], nnx.Module] | None = None,
    rngs: nnx.Rngs,
) -> list[TransformerBlock]:
    """Returns transformer blocks in a row.

    Args:
        depth: Number of blocks.
        width: Features per token.
        num_heads: Attention heads; must divide `width`.
        mlp_width: Hidden units of each MLP.
        num_experts: MLPs of each block that share its hidden units; 1 for one alone.
        causal: Whether tokens attend to earlier ones only.
        attention: Makes the mixing of tokens that replaces the attention of a block.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If a number is below 1, or `num_experts` does not divide
            `mlp_width`.
    """
    check_positive(depth=depth, width=width, num_heads=num_heads, mlp_width=mlp_width)
    check_positive(num_experts=num_experts)
    hidden, rest = divmod(mlp_width, num_experts)
    if rest:
        raise ValueError(
            f"model: {num_experts} experts must divide mlp_width, got {mlp_width}."
        )
    blocks = []
    for _ in range(depth):
        block = TransformerBlock(
            width=width,
            num_heads=num_heads,
            mlp_width=mlp_width,
            causal=causal,
            rngs=rngs,
        )
        if attention is not None:
            block.attention = attention()
        if num_experts > 1:
            block.mlp = Experts(
                width=width, hidden=hidden, num_experts=num_experts, rngs=rngs
            )
        blocks.append(block)
    return blocks


def check_images(images: Array):
    """Raises a ValueError for images that have not passed `Dataset.inputs`."""
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"a model takes floats, got {images.dtype}: pass images through the "
            "`inputs` of their dataset first, or call what training.restore returns."
        )


def learned_positions(n: int, width: int, rngs: nnx.Rngs) -> nnx.Param:
    """Returns learned position embeddings, [n, width], initially small."""
    return nnx.Param(0.02 * jax.random.normal(rngs.params(), (n, width), jnp.float32))


def narrower_transformers(config: Config) -> Iterator[dict[str, Any]]:
    """Yields configs of the same depth and heads, from the narrowest to `config`."""
    heads, width = config["num_heads"], config["width"]
    for narrow in range(max(heads, 2), width, heads):
        hidden = in_parts(config["mlp_width"] * narrow / width)
        yield dict(config) | dict(width=narrow, mlp_width=hidden)
    yield dict(config)


def in_parts(size: float) -> int:
    """Returns the nearest multiple of `NUM_PARTS`, at least one of it."""
    return NUM_PARTS * max(1, round(size / NUM_PARTS))
