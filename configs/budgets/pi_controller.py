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
                leak=0.05,  # so that the price reaches what is surely open or closed
                look_every=5,  # steps, at what evaluation spends
                look_from=0.4,  # share of the run
                calibrate=True,  # at the end, by a shift of the scores
                controller=dict(
                    name="pi_controller",
                    integral=0.15,  # per step and unit of excess
                    proportional=3.0,
                    smoothing=0.5,
                    slack=0.1,  # below the target, where the price is dropped
                    initial=0.0,
                    largest=10.0,
                ),
            ),
        )
    )
