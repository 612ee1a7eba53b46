"""Gated positions: each example runs a convolutional branch on some tiles."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse import ops
from dynsparse._internal.paths import path_name
from dynsparse.gates import Gate
from dynsparse.layers.base import branches
from dynsparse.layers.base.arguments import features_of
from dynsparse.layers.base.gated_layer import GatedLayer


class PaddedOnce(nnx.Module):
    """A residual branch without padding of its own: its input is padded once.

    Any tile of its output can be computed from a tile of its input and the halo.

    Args:
        branch: Maps [batch, h + 2 halo, w + 2 halo, channels] to
            [batch, h, w, channels] for any h and w, such as convolutions with "VALID"
            padding; works on each position alone otherwise.
        halo: Pixels that the branch reads on each side of its output.

    Example:
        >>> conv = nnx.Conv(2, 2, (3, 3), padding="VALID", rngs=nnx.Rngs(0))
        >>> layers.PaddedOnce(conv, halo=1)(jnp.ones((1, 4, 4, 2))).shape
        (1, 4, 4, 2)
    """

    def __init__(self, branch: nnx.Module, *, halo: int):
        self.branch: Any = branch
        self.halo = halo

    def padded(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 channels"]:
        """Pads each side of the images by the halo, with zeros."""
        return jnp.pad(x, [(0, 0), *[(self.halo, self.halo)] * 2, (0, 0)])

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns the sum of `x` and the branch."""
        return x + self.branch(self.padded(x))


class GatedPositions(GatedLayer):
    """Adds a residual branch at the tiles that the gate opens.

    DynConv (Verelst and Tuytelaars, 2020, arXiv:1912.03203) with tiles as units (SBNet:
    Ren et al., 2018, arXiv:1801.02108); with `tile=1`, single pixels. Tiles are
    computed with their halo, so that small ones cost more than their share: all tiles
    of side t cost ((t + 2 halo) / t)^2 of the plain branch. Compact execution gathers
    the open tiles with their halo.

    Args:
        host: The branch, whose input is padded once.
        scorer: Maps tiles, [batch, num_tiles, channels], averaged, to
            [batch, num_tiles].
        gate: Any kind.
        tile: Side of a tile; must divide height and width.
        grid: Tiles from top to bottom and from left to right.

    Raises:
        ValueError: If the host has a norm over positions, or gates.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> conv = nnx.Conv(2, 2, (3, 3), padding="VALID", rngs=rngs)
        >>> layer = layers.gated(
        ...     layers.PaddedOnce(conv, halo=1),
        ...     granularity="positions",
        ...     gate=dict(name="hard_topk", density=0.25),
        ...     scorer=dict(name="evenly_spaced"),
        ...     width=2,
        ...     tile=2,
        ...     grid=(2, 2),
        ...     rngs=rngs,
        ... )
        >>> x = jnp.ones((1, 4, 4, 2))
        >>> jnp.any(layer(x) != x, -1).astype(int)[0]  # the third tile
        Array([[0, 0, 0, 0],
               [0, 0, 0, 0],
               [1, 1, 0, 0],
               [1, 1, 0, 0]], dtype=int32)
    """

    unit = "tile of positions"
    kinds = ("fixed", "varying", "full")
    score_axis = "units"
    capacity_steps = 16

    def __init__(
        self,
        *,
        host: PaddedOnce,
        scorer: nnx.Module,
        gate: Gate,
        tile: int,
        grid: tuple[int, int],
    ):
        for path, module in nnx.iter_modules(host):
            if isinstance(module, nnx.GroupNorm | nnx.InstanceNorm):
                raise ValueError(
                    f"GatedPositions: {type(module).__name__} at "
                    f"{path_name(path)} reads other positions, some of which "
                    f"are not computed; use a BatchNorm or LayerNorm."
                )
            if isinstance(module, GatedLayer):
                raise ValueError(
                    f"GatedPositions: {type(module).__name__} at "
                    f"{path_name(path)} decides too, and would see only some of the "
                    f"tiles in compact execution; gate one of the two."
                )
        super().__init__(
            host=host, scorer=scorer, gate=gate, num_units=grid[0] * grid[1]
        )
        self.tile = tile
        self.grid = tuple(grid)

    def features(self, args: Any, kwargs: Any) -> Float[Array, "batch tiles channels"]:
        """Returns the average of each tile, of which the layer decides."""
        return self._tiles(features_of(args, kwargs)).mean((2, 3))

    def __call__(
        self, x: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns `x`, with the branch added at open tiles.

        Raises:
            ValueError: If the tiles do not cover `x`.
        """
        expected = tuple(self.tile * side for side in self.grid)
        if x.shape[1:3] != expected:
            raise ValueError(
                f"{self.grid} tiles of {self.tile} pixels cover {expected}, not "
                f"{x.shape[1:3]}."
            )
        padded = self.host.padded(x)
        count = self.static_count()
        tiles = self.features((x,), {})
        if self.opens_all():
            self.decide_all(tiles)
            return x + self.host.branch(padded)
        mask = self.decide(tiles).mask
        if self.execution == "masked":
            return self._everywhere(x, padded, mask)
        flat = mask.reshape(-1)

        def compute(size: int):
            if size == len(flat):
                return self._everywhere(x, padded, mask)
            return self._open(x, padded, flat, size)

        if count is not None:
            return self._open(x, padded, flat, count * len(x))
        sizes = ops.capacities(len(flat), self.capacity_steps)
        return ops.capacity_switch((flat > 0).sum(), sizes, compute)

    def _everywhere(self, x, padded, mask):
        """Adds the branch, computed at every position and weighed tile by tile."""
        weight = jnp.broadcast_to(
            mask[..., None, None, None].astype(x.dtype),
            (*mask.shape, self.tile, self.tile, 1),
        )
        weight = self._image(weight)
        padded = ops.drop_closed(padded, self._read(weight))
        return x + ops.weigh(self.host.branch(padded), weight)

    def _read(self, weight):
        """Positive at the padded positions that an open tile reads."""
        weight = jax.lax.stop_gradient(weight)
        weight = self.host.padded(weight)
        window = 2 * self.host.halo + 1
        return nnx.max_pool(weight, (window, window), padding="SAME")

    def _open(self, x, padded, mask, size: int):
        """Adds the branch at the first `size` tiles of the batch, open ones first."""
        if size == 0:  # in the type that it has with the branch
            output = branches.output_shape(self.host.branch, padded)
            return x.astype(jnp.promote_types(x.dtype, output.dtype))
        chosen = ops.open_indices(mask, size)
        side = self.tile + 2 * self.host.halo
        example, tile = jnp.divmod(chosen, self.num_units)
        row, column = jnp.divmod(tile, self.grid[1])
        cut: Any = jax.vmap(
            lambda e, r, c: jax.lax.dynamic_slice(
                padded,
                (e, r * self.tile, c * self.tile, jnp.zeros_like(e)),
                (1, side, side, x.shape[-1]),
            )[0]
        )
        output = self.host.branch(cut(example, row, column))
        output = ops.weigh(output, mask[chosen][:, None, None, None])
        tiles = self._tiles(x)
        flat = tiles.reshape(-1, *tiles.shape[2:])
        flat = flat.astype(jnp.promote_types(flat.dtype, output.dtype))
        flat = flat.at[chosen].add(output, unique_indices=True)
        return self._image(flat.reshape(tiles.shape))

    def _tiles(self, x):
        """[batch, height, width, c] to [batch, num_tiles, tile, tile, c]."""
        rows, columns = self.grid
        x = x.reshape(x.shape[0], rows, self.tile, columns, self.tile, x.shape[-1])
        return jnp.moveaxis(x, 3, 2).reshape(
            x.shape[0], self.num_units, self.tile, self.tile, x.shape[-1]
        )

    def _image(self, tiles):
        """The inverse of `_tiles`."""
        rows, columns = self.grid
        batch, _, tile, _, channels = tiles.shape
        x = jnp.moveaxis(
            tiles.reshape(batch, rows, columns, tile, tile, channels), 3, 2
        )
        return x.reshape(batch, rows * tile, columns * tile, channels)
