"""Penalises the MACs of the whole network towards a target, with annealed bounds.

Method: DynConv, Verelst and Tuytelaars, 2020, arXiv:1912.03203.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this way of meeting a budget sets."""
    return ConfigDict(
        dict(
            penalties=dict(
                mac_target=dict(
                    target=0.5,  # fraction of the dense MACs
                    weight=10.0,
                    bounds_until=0.33,  # share of the run
                )
            ),
            density_sampling=None,
            budget_constraint=None,
        )
    )
