"""The contract of what draws the densities of a training step."""

import abc
import dataclasses

from jaxtyping import Array, Float, PRNGKeyArray

from dynsparse._internal.ranges import Checked, PositiveFraction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling(Checked, abc.ABC):
    """Draws the densities of a training step, one per pass.

    Attributes:
        low: Lowest density, in (0, high].
        high: Highest density, in [low, 1].

    Raises:
        ValueError: If a value is out of range.
    """

    low: PositiveFraction
    high: PositiveFraction

    def __post_init__(self):
        super().__post_init__()
        self.require("low", self.low <= self.high, f"at most high={self.high}")

    @property
    @abc.abstractmethod
    def passes(self) -> int:
        """Densities of a step."""

    @abc.abstractmethod
    def __call__(self, key: PRNGKeyArray) -> Float[Array, "passes"]:
        """Returns the densities of a step, in float32, the largest first."""
