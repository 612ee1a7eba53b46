"""What a training may spend. One policy per file; the file's name is its name."""

from typing import Any

from dynsparse._internal import registry
from dynsparse.budgets.policies.base import Policy

__all__ = ["Policy", "available", "from_config"]


def available() -> list[str]:
    """Names of the policies of this library.

    >>> budgets.policies.available()
    ['any', 'constrained', 'fixed', 'penalised', 'shared']
    """
    return registry.available(__name__)


def from_config(config: registry.Config) -> Policy:
    """Builds the policy that the section `budget` of a config names.

    >>> policy = budgets.policies.from_config(dict(name="fixed", density=0.5))
    >>> policy.passes, policy.lowest
    (1, 0.5)

    Args:
        config: `name`, one of `available()` or "package.module:Class", and exactly the
            keys of that policy; sections of their own for what has keys, such as
            `controller`, and under `penalties` one for each penalty, by its name.

    Raises:
        ValueError: If a name or key is unknown, missing, or a value out of range.
    """
    policy: Any = registry.build(__name__, config, "budget")
    return policy
