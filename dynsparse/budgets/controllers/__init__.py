"""What moves the weight of a penalty. One controller per file, named as the file."""

from typing import Any

from dynsparse._internal import registry
from dynsparse.budgets.controllers.base import Controller

__all__ = ["Controller", "available", "from_config"]


def available() -> list[str]:
    """Names of the controllers of this library.

    >>> budgets.controllers.available()[:2]
    ['bias_balancing', 'dual_ascent']
    """
    return registry.available(__name__)


def from_config(config: registry.Config) -> Controller:
    """Builds the controller that `config` names.

    >>> config = dict(name="bias_balancing", rate=0.5, initial=1.0, largest=9.0)
    >>> controller = budgets.controllers.from_config(config)
    >>> float(controller.update(controller.init(), jnp.float32(0.2))[1])
    1.5

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that controller.

    Raises:
        ValueError: If a name or key is unknown, missing, or a value out of range.
    """
    controller: Any = registry.build(__name__, config)
    return controller
