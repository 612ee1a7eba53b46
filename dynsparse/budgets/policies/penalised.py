"""Penalties alone: what they are to move decides for itself."""

import dataclasses

from dynsparse.budgets.policies.base import Policy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Penalised(Policy):
    """Adds penalties to the loss; without any, gates open what they like.

    Attributes:
        penalties: What is added to the loss.

    Raises:
        ValueError: If a value is not accepted.
    """
