"""Gumbel-sigmoid gates, penalised towards a target density.

Method: Jang, Gu and Poole, 2016, arXiv:1611.01144.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="gumbel_sigmoid", temperature=1.0)
    return target_density(gate)
