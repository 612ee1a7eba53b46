"""One budget for the whole network: what each layer gets of it is learned.

Any budget by the sandwich rule; the shares are the projection onto the budget that
weighs each layer by its MACs.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this way of meeting a budget sets."""
    return ConfigDict(
        dict(
            penalties=dict(),
            density_sampling=dict(name="sandwich", low=0.1, high=1.0, draws=1),
            distillation=dict(weight=0.5, temperature=1.0),
            budget_sharing=dict(temperature=1.0),
            budget_constraint=None,
        )
    )
