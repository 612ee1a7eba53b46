"""Bernoulli gates with the gradient of their mean, penalised.

Method: Bengio, Leonard and Courville, 2013, arXiv:1308.3432.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="bernoulli_straight_through")
    return target_density(gate)
