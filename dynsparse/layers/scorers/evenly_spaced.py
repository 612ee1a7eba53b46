"""Fixed scores that open units evenly along their axis."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from dynsparse.layers.scorers.base import Scorer


class EvenlySpaced(Scorer):
    """Fixed scores that open units evenly along their axis: structure, as a control.

    The scores of units 0, 1, 2... are the fractional parts of their multiples of the
    golden ratio, which are spread out however many of them are chosen (the three-gap
    theorem: any k largest leave gaps of at most three lengths).

    Args:
        shape: The scores that the layer needs. Tokens, tiles and fields are counted
            from the input.
        rngs: Not read.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="evenly_spaced"),
        ...     layers.GatedTokens,
        ...     width=8,
        ...     num_units=5,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> jnp.argsort(-scorer(jnp.ones((1, 5, 8))))  # in the order of opening
        Array([[2, 0, 3, 1, 4]], dtype=int32)
    """

    reads_input = False
    forbids = False

    def __call__(
        self, features: Shaped[Array, "batch *axes"]
    ) -> Float[Array, "batch *rows n"]:
        """Returns the same scores for every example, or row where rows decide."""
        counted = self.shape.axis in ("units", "fields")
        num_units = features.shape[1] if counted else self.shape.num_units
        units = jnp.arange(1, num_units + 1, dtype=jnp.float32)
        return self.repeated(units * ((1 + 5**0.5) / 2) % 1, features)
