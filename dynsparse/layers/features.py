"""Gated features: each example looks up and runs some of its input fields."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from dynsparse.gates.base import Gate
from dynsparse.layers.open_tokens import OpenTokens


class FieldEmbedding(nnx.Module):
    """One table for the values of all fields: a code is a field and its value.

    Args:
        sizes: Values of each field.
        width: Features per code.
        rngs: Initialises from the `params` stream.
    """

    def __init__(self, *, sizes: tuple[int, ...], width: int, rngs: nnx.Rngs):
        self.sizes = tuple(sizes)
        normal = nnx.initializers.normal(width**-0.5)
        self.table = nnx.Param(normal(rngs.params(), (sum(sizes), width)))

    def codes(self, values: Int[Array, "batch fields"]) -> Int[Array, "batch fields"]:
        """Numbers the values of all fields through: what gates and tables read."""
        starts = [sum(self.sizes[:index]) for index in range(len(self.sizes))]
        return values + jnp.asarray(starts, values.dtype)[None]

    def __call__(
        self,
        codes: Int[Array, "batch size"],
        mask: Float[Array, "batch size"] | None = None,
    ) -> Float[Array, "batch size width"]:
        """Looks up some codes, of any fields."""
        del mask
        return self.table[...][codes]


class GatedFeatures(OpenTokens):
    """Looks up and runs the input fields that the gate opens, for each example.

    AdaFS (Lin et al., 2022, doi:10.1145/3534678.3539204) chooses among fields that were
    all looked up, AEFS (Hu et al., 2025, arXiv:2509.12076) before the lookup. So does
    this: the scorer reads narrow embeddings of its own, nothing wide is looked up for a
    closed field, and what follows runs on as many fields as are open.

    Args:
        host: `host(codes, mask=None)` maps [batch, size] to [batch, size, width], such
            as a `FieldEmbedding` and what mixes the fields; where `mask` is 0 a field
            must not affect the others, None stands for ones.
        scorer: Maps codes, [batch, n], to [batch, n].
        gate: Any kind.
        num_fields: n.
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
