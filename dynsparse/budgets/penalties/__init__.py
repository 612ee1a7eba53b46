"""What decisions add to a loss. One penalty per file; the file's name is its name."""

from typing import Any

from dynsparse._internal import registry
from dynsparse.budgets.penalties.base import Penalty

__all__ = ["Penalty", "available", "from_config"]


def available() -> list[str]:
    """Names of the penalties of this library.

    >>> budgets.penalties.available()[:2]
    ['batch_shaping', 'diversity']
    """
    return registry.available(__name__)


def from_config(config: registry.Config) -> Penalty:
    """Builds the penalty that `config` names.

    >>> config = dict(name="target_rate", target=0.5, weight=2.0)
    >>> budgets.penalties.from_config(config).target
    0.5

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that penalty.

    Raises:
        ValueError: If a name or key is unknown, missing, or a value out of range.
    """
    penalty: Any = registry.build(__name__, config)
    return penalty
