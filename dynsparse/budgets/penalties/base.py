"""The contract of penalties."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import ClassVar

from jaxtyping import Array, Float

from dynsparse._internal.ranges import Checked, Fraction, NotNegative
from dynsparse.budgets.targets import check_moves
from dynsparse.budgets.usage import Usage
from dynsparse.gates import Gate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Penalty(Checked, abc.ABC):
    """Maps what a batch opened to what it adds to the loss, in float32.

    Attributes:
        weight: Multiplies it, >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    weight: NotNegative

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

    def check(self, gates: Mapping[str, Gate], floor: float):
        """Refuses a model on which the penalty has no effect.

        Args:
            gates: By layer.
            floor: Fraction of the dense MACs that no gate closes.

        Raises:
            ValueError: If no gate can move as asked, or a target is below the floor.
        """

    def words(self, of: Callable[[float], str]) -> str:
        """Returns the aim, for people; "" for none that is a number.

        Args:
            of: MACs of a fraction of the dense ones, in words.
        """
        return ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetPenalty(Penalty):
    """A penalty on the distance from a target.

    Attributes:
        of_macs: Whether the target is a fraction of the dense MACs, not of units.
        target: In [0, 1]; each says of what.
        weight: Multiplies the penalty, >= 0.

    Raises:
        ValueError: If a value is out of range.
    """

    of_macs: ClassVar[bool] = False
    target: Fraction

    def check(self, gates: Mapping[str, Gate], floor: float):
        """Refuses models without gates that learn how much to open."""
        check_moves(gates, f"budget.penalties: {type(self).__name__}")

    def words(self, of: Callable[[float], str]) -> str:
        """The target."""
        if self.of_macs:
            macs = of(self.target)
            return f"penalised towards {self.target:g} of the dense MACs: {macs}"
        return f"penalised towards a density of {self.target:g}"
