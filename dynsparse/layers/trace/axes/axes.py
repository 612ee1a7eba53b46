"""The axes of all values of a program, put into classes."""

from collections.abc import Callable, Mapping, Sequence

from dynsparse.layers.trace.axes.own_places import own_places
from dynsparse.layers.trace.axes.same_axes import Axis, Classes
from dynsparse.layers.trace.program.program import Program, Step, Value

NUMBERED = "its entries are numbered"
DRAWN = "random numbers are drawn for it"

Rule = Callable[["Axes", Step], None]


class Axes:
    """The axes of all values of a program, put into classes.

    Args:
        program: Any program.
        rules: What each operation says about the axes of its values. All axes that an
            operation without a rule reads are locked.

    Attributes:
        classes: The classes of the axes.
        places: Where the program reads or writes each row at its own place.
    """

    def __init__(self, program: Program, rules: Mapping[str, Rule]):
        self.classes, self.places = Classes(), own_places(program)
        self._axes: dict[Value, list[Axis]] = {}
        self._rules = rules
        self._steps = {step: i for i, step in enumerate(program.steps)}
        for self.classes.step, step in enumerate(program.steps):
            self.follow(step)

    def of(self, value: Value) -> list[Axis]:
        """Returns the axes of a value, outer ones first."""
        if value not in self._axes:
            self._axes[value] = [self.classes.new(size) for size in value.shape]
            for i in () if value in self.places.counts else value.numbered:
                self.classes.lock(self._axes[value][i], NUMBERED)
        return self._axes[value]

    def holding(self, value: Value, factor: int) -> list[int]:
        """Returns the indices of a value's axes that hold a factor."""
        return self.classes.holding(self.of(value), factor)

    def any_holding(self, values: Sequence[Value], factor: int) -> bool:
        """Whether some axis of some of the values holds a factor."""
        return any(self.holding(value, factor) for value in values)

    def step_of(self, step: Step) -> int:
        """Returns the index of a step of the program, which its locks name."""
        return self._steps[step]

    def follow(self, step: Step):
        """Puts the axes of a step's values into classes."""
        rule = self._rules.get(step.name)
        if rule is None:
            self.lock_all(step.inputs, f"{step.name} is not known")
        else:
            rule(self, step)

    def same(self, left: Sequence[Axis], right: Sequence[Axis]):
        """Unites axes pairwise where both have the same length."""
        for one, other in zip(left, right, strict=True):
            if self.classes.size(one) == self.classes.size(other):
                self.classes.same(one, other)

    def lock_all(self, values: Sequence[Value], reason: str):
        """Locks all axes of some values."""
        for value in values:
            for axis in self.of(value):
                self.classes.lock(axis, reason)
