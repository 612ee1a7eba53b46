"""Holds the MACs of gates of a varying count at a target, with no weight to tune.

Method: Sohrabi et al., 2024, arXiv:2406.04558.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The sections that this way of meeting a budget sets."""
    return ConfigDict(
        dict(
            penalties=dict(),
            density_sampling=None,
            budget_constraint=dict(
                target=0.5,  # fraction of the dense MACs
                at_most=False,
                controller=dict(
                    name="pi_controller",
                    integral=0.05,  # per step and unit of excess
                    proportional=5.0,
                    smoothing=0.9,
                    initial=0.0,
                    largest=20.0,
                ),
            ),
        )
    )
