"""The score that a run is judged by: its name, its unit and its sign."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """How a score is named, shown and compared.

    Attributes:
        name: As in the task, such as "accuracy".
        unit: "%" for shares, which are shown times 100; "" for none.
        higher_is_better: Whether a larger value is better.
        noun: What an example is called, such as "image".

    Example:
        >>> bits = reports.Metric("bits", "bits/character", False, "window")
        >>> bits.label, bits.text(1.2345), reports.Metric().text(0.5)
        ('bits (bits/character)', '1.2345', '50.00')
    """

    name: str = "accuracy"
    unit: str = "%"
    higher_is_better: bool = True
    noun: str = "example"

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> "Metric":
        """Returns that of a result."""
        return cls(**result["metric"])

    @property
    def words(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        """Name and unit."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    @property
    def column(self) -> str:
        """Name and unit, for the head of a narrow column."""
        return f"{self.words} %" if self.unit == "%" else self.words

    def shown(self, value: float) -> float:
        """Returns a value in its unit."""
        return 100 * value if self.unit == "%" else value

    def text(self, value: float) -> str:
        """Returns a value as tables show it, without its unit."""
        return f"{100 * value:.2f}" if self.unit == "%" else f"{value:.4f}"
