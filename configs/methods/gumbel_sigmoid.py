"""Gumbel-sigmoid gates, penalised towards a target density.

Method: Jang, Gu and Poole, 2016, arXiv:1611.01144.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    config = ConfigDict()
    config.gate = ConfigDict(dict(name="gumbel_sigmoid", temperature=1.0))
    config.density_sampling = None  # each input decides its own density
    config.density_loss = ConfigDict(
        dict(
            target=0.5,  # mean fraction of open units, per gated layer
            weight=2.0,  # multiplies (mean open_prob - target)^2
        )
    )
    return config
