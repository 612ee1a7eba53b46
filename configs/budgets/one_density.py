"""One density from the first step to the last."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this way of meeting a budget sets."""
    return ConfigDict(
        dict(
            penalties=dict(),
            density_sampling=dict(name="uniform", low=0.5, high=0.5, full=0.0),
            budget_constraint=None,
        )
    )
