"""A condition that a user's own object has to meet."""

from typing import Any


def require(holds: Any, told: str):
    """Raises a ValueError with `told` unless it `holds`."""
    if not holds:
        raise ValueError(f"{told}.")
