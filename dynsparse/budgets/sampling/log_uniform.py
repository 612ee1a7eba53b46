"""One density per step, drawn evenly on a logarithmic scale."""

import dataclasses

from jaxtyping import Array, Float

from dynsparse.budgets.sampling.uniform import Uniform


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogUniform(Uniform):
    """As `Uniform`, but as often between .1 and .2 as between .4 and .8.

    Low densities are the ones that a model has to learn: a choice among few units is a
    harder one, and close to density 1 all are alike.

    Attributes:
        low: Lowest density, in (0, high].
        high: Highest density, in [low, 1].
        full: Probability of density 1 instead of a draw, in [0, 1].

    Raises:
        ValueError: If a value is out of range.
    """

    def between(self, share: Float[Array, "passes"]) -> Float[Array, "passes"]:
        """The density at a share, in [0, 1), of the way from low to high."""
        return self.low * (self.high / self.low) ** share
