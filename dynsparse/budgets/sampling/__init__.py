"""Any-budget training: new densities at every step. One way to draw them per file."""

from typing import Any

from dynsparse._internal import registry
from dynsparse.budgets.sampling.base import DensitySampling

__all__ = ["DensitySampling", "available", "from_config"]


def available() -> list[str]:
    """Names of the ways of this library."""
    return registry.available(__name__)


def from_config(config: registry.Config) -> DensitySampling:
    """Builds what `config` names.

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly its
            keys.

    Raises:
        ValueError: If a name or key is unknown, missing, or a value out of range.
    """
    sampling: Any = registry.build(__name__, config)
    return sampling
