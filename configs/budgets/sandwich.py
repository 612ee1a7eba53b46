"""Any budget: the largest, the smallest and a random density at every step, distilled.

Method: the sandwich rule and in-place distillation, Yu and Huang, 2019,
arXiv:1903.05134.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this way of meeting a budget sets."""
    return ConfigDict(
        dict(
            penalties=dict(),
            density_sampling=dict(name="sandwich", low=0.1, high=1.0, draws=1),
            distillation=dict(weight=0.5, temperature=1.0, features=0.0),
            budget_constraint=None,
        )
    )
