"""The contract of penalties."""

import abc
import dataclasses

from jaxtyping import Array, Float

from dynsparse._internal.ranges import check
from dynsparse.budgets.usage import Usage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Penalty(abc.ABC):
    """Maps what a batch opened to what it adds to the loss, in float32.

    Attributes:
        weight: Multiplies it, >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: float

    def __post_init__(self):
        check(self, "weight", self.weight >= 0, ">= 0")

    def __call__(
        self, usage: Usage, weight: Float[Array, ""] | None = None
    ) -> Float[Array, ""]:
        """Returns the penalty of one batch.

        Args:
            usage: What it opened.
            weight: In the place of its own, such as an array that a program reads.
        """
        return (self.weight if weight is None else weight) * self.amount(usage)

    @abc.abstractmethod
    def amount(self, usage: Usage) -> Float[Array, ""]:
        """The penalty without its weight."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetPenalty(Penalty):
    """A penalty on the distance from a target.

    Attributes:
        target: In [0, 1]; each says of what.
        weight: Multiplies the penalty, >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    target: float

    def __post_init__(self):
        super().__post_init__()
        check(self, "target", 0 <= self.target <= 1, "in [0, 1]")
