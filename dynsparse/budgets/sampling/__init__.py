"""Any-budget training: new densities at every step. One way to draw them per file."""

from typing import Any

from dynsparse._internal import registry
from dynsparse.budgets.sampling.base import Sampling

__all__ = ["Sampling", "available", "from_config"]


def available() -> list[str]:
    """Names of the ways of this library to draw densities.

    >>> budgets.sampling.available()
    ['log_uniform', 'sandwich', 'uniform']
    """
    return registry.available(__name__)


def from_config(config: registry.Config) -> Sampling:
    """Builds what `config` names.

    >>> config = dict(name="sandwich", low=0.25, high=1.0, draws=0)
    >>> draw = budgets.sampling.from_config(config)
    >>> draw(jax.random.key(0))
    Array([1.  , 0.25], dtype=float32)

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly its
            keys.

    Raises:
        ValueError: If a name or key is unknown, missing, or a value out of range.
    """
    sampling: Any = registry.build(__name__, config)
    return sampling
