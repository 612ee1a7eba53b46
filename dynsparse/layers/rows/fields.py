"""Gated features: each example looks up and runs some of its input fields."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Shaped

from dynsparse.gates import Gate
from dynsparse.layers.base.tables import look_up
from dynsparse.layers.rows.open_tokens import OpenTokens


class FieldEmbedding(nnx.Module):
    """One table for the values of all fields: a code is a field and its value.

    Args:
        sizes: Number of values of each field; all codes together must fit in an int32.
        width: Features per code.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If a size is below 1, or there are 2**31 codes or more.

    Example:
        >>> embed = layers.FieldEmbedding(sizes=(2, 3), width=4, rngs=nnx.Rngs(0))
        >>> codes = embed.codes(np.array([[1, 2], [0, 0]]))
        >>> codes
        Array([[1, 4],
               [0, 2]], dtype=int32)
        >>> embed(codes).shape
        (2, 2, 4)
    """

    def __init__(self, *, sizes: tuple[int, ...], width: int, rngs: nnx.Rngs):
        self.sizes = tuple(sizes)
        if not self.sizes or min(self.sizes) < 1 or sum(self.sizes) >= 2**31:
            raise ValueError(
                f"FieldEmbedding takes one size of at least 1 for each field, and "
                f"fewer than 2**31 codes in all, got sizes={self.sizes}."
            )
        normal = nnx.initializers.normal(width**-0.5)
        self.table = nnx.Param(
            normal(rngs.params(), (sum(self.sizes), width), jnp.float32)
        )

    def codes(
        self,
        values: Shaped[Array, "batch fields"] | Shaped[np.ndarray, "batch fields"],
    ) -> Int[Array, "batch fields"]:
        """Numbers the values of all fields consecutively: what gates and tables read.

        A value is in [0, size) of its field. Under `jit`, where values are not known at
        compile time, any other value gets the code one past the last, for which all
        lookups give zeros.

        Args:
            values: One column for each field, of any integer type.

        Returns:
            The codes, in int32.

        Raises:
            ValueError: If there are not as many columns as fields, the values are no
                integers, or a value that is known is outside its field.
        """
        if values.shape[-1] != len(self.sizes):
            raise ValueError(
                f"FieldEmbedding has {len(self.sizes)} fields, got values of shape "
                f"{values.shape}."
            )
        if not jnp.issubdtype(values.dtype, jnp.integer):
            raise ValueError(
                f"FieldEmbedding takes values of an integer type, got {values.dtype}."
            )
        known = not isinstance(values, jax.core.Tracer)
        if known:
            _check_known(np.asarray(values), self.sizes)
        if values.dtype.itemsize < 4:  # too narrow for the size of a field
            values = values.astype(jnp.int32)
        starts = np.cumsum((0, *self.sizes[:-1])).astype(np.int32)
        sizes = np.asarray(self.sizes, values.dtype)
        codes = values.astype(jnp.int32) + jnp.asarray(starts)[None]
        if known:
            return jnp.asarray(codes)
        inside = (values >= 0) & (values < jnp.asarray(sizes)[None])
        return jnp.where(inside, codes, jnp.int32(sum(self.sizes)))

    def __call__(
        self,
        codes: Int[Array, "batch size"],
        mask: Float[Array, "batch size"] | None = None,
    ) -> Float[Array, "batch size width"]:
        """Looks up codes of any fields; gives zeros for what is no code."""
        return look_up(self.table[...], codes)


def _check_known(values: np.ndarray, sizes: tuple[int, ...]):
    """Raises a ValueError that names a value outside its field."""
    wrong = (values < 0) | (values >= np.asarray(sizes, np.int64)[None])
    if wrong.any():
        example, field = np.argwhere(wrong)[0]
        raise ValueError(
            f"FieldEmbedding: field {field} has values in [0, {sizes[field]}), got "
            f"{values[example, field]} in example {example}; give what is missing or "
            f"rare a value of its own."
        )


class GatedFeatures(OpenTokens):
    """Looks up and runs the input fields that the gate opens, for each example.

    AdaFS (Lin et al., 2022, doi:10.1145/3534678.3539204) chooses among fields that were
    all looked up, AEFS (Hu et al., 2025, arXiv:2509.12076) before the lookup. So does
    this layer: the scorer reads narrow embeddings of its own, nothing wide is looked up
    for a closed field, and what follows runs on as many fields as are open.

    Args:
        host: `host(codes, mask=None)` maps [batch, size] to [batch, size, width], such
            as a `FieldEmbedding` and what mixes the fields; where `mask` is 0 a field
            must not affect the others, None stands for ones.
        scorer: Maps codes, [batch, n], to [batch, n].
        gate: Any kind.
        num_fields: Number of fields, n.

    Example:
        >>> rngs = nnx.Rngs(0, gate=1)
        >>> embed = layers.FieldEmbedding(sizes=(2, 3, 5, 2), width=4, rngs=rngs)
        >>> layer = layers.gated(
        ...     embed,
        ...     granularity="features",
        ...     gate=dict(name="hard_topk", density=0.5),
        ...     scorer=dict(name="linear"),
        ...     num_codes=12,
        ...     num_fields=4,
        ...     rngs=rngs,
        ... )
        >>> features, mask = layer(embed.codes(np.array([[1, 2, 0, 1]])))
        >>> features.shape, float(mask.sum())
        ((1, 4, 4), 2.0)
    """

    unit = "input field of an example"
    score_axis = "fields"

    def __init__(
        self, *, host: nnx.Module, scorer: nnx.Module, gate: Gate, num_fields: int
    ):
        super().__init__(host=host, scorer=scorer, gate=gate, num_tokens=num_fields)

    def __call__(
        self, codes: Int[Array, "batch n"]
    ) -> tuple[Float[Array, "batch n width"], Float[Array, "batch n"]]:
        """Returns the host's output, zero at closed fields, and the mask."""
        return self.run(codes, self.nothing(codes))
