"""Scores of a network that is told the density."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from dynsparse._internal.ranges import check_density
from dynsparse.gates import Density
from dynsparse.layers.scorers.base import ScoreShape
from dynsparse.layers.scorers.mlp import Mlp


class AnyBudget(Mlp):
    """Network with one hidden layer whose hidden units depend on the density too.

    The masks of different densities are not nested then.

    Args:
        shape: The scores that the layer needs.
        hidden: Hidden units, at least 1.
        rngs: Initialises from the `params` stream.

    Raises:
        ValueError: If `hidden` is below 1.

    Example:
        >>> scorer = layers.make_scorer(
        ...     dict(name="any_budget", hidden=2),
        ...     layers.GatedTokens,
        ...     width=8,
        ...     num_units=5,
        ...     rngs=nnx.Rngs(0),
        ... )
        >>> scorer.by_density.slope[...] = jnp.ones(2)
        >>> x = jnp.ones((1, 5, 8))
        >>> bool((scorer(x) == nnx.view(scorer, density=0.5)(x)).any())
        False
    """

    def __init__(self, shape: ScoreShape, *, hidden: int, rngs: nnx.Rngs):
        super().__init__(shape, hidden=hidden, rngs=rngs)
        self.by_density = DensityBias(hidden)

    def shifted(self, hidden: Float[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Hidden units, moved by what was learned for the density."""
        return self.by_density(hidden)


class DensityBias(nnx.Module):
    """Bias of the hidden units that grows with the distance of the density from 1.

    The density is a Variable, which training sets, and static where a view fixes it.

    Args:
        hidden: Hidden units.
    """

    def __init__(self, hidden: int):
        self.density = Density(jnp.float32(1))
        self.static_density: float | None = None
        self.slope = nnx.Param(jnp.zeros(hidden, jnp.float32))

    def set_view(self, density: float | None = None):
        """Lets `nnx.view(model, density=0.5)` fix the density.

        Args:
            density: In [0, 1].

        Raises:
            ValueError: If `density` is outside [0, 1].
        """
        if density is not None:
            check_density(density)
            self.static_density = density

    def __call__(self, hidden: Float[Array, "*rows n"]) -> Float[Array, "*rows n"]:
        """Adds the bias of the present density."""
        static = self.static_density
        density = self.density[...] if static is None else jnp.float32(static)
        bias = (density - 1).astype(hidden.dtype) * self.slope[...].astype(hidden.dtype)
        return hidden + bias.reshape(*[1] * (hidden.ndim - 1), -1)
