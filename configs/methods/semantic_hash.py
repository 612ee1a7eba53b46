"""Improved semantic hashing, penalised towards a target density.

Method: Kaiser and Bengio, 2018, arXiv:1801.09797.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="semantic_hash")
    return target_density(gate)
