"""One budget for the whole network: what each layer gets of it is learned.

Any budget by the sandwich rule; the shares are the projection onto the budget that
weighs each layer by its MACs.
"""

from ml_collections import ConfigDict

from configs.budgets import sandwich


def get_config() -> ConfigDict:
    """The sections that this way of meeting a budget sets."""
    config = sandwich.get_config()
    config.budget_sharing = ConfigDict(dict(temperature=1.0))  # of the shares
    return config
