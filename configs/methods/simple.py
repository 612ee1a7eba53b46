"""SIMPLE: exact k-subset samples, trained at random densities.

Method: Ahmed, Zeng, Niepert and Van den Broeck, 2023, arXiv:2210.01941.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="simple", density=1.0, temperature=1.0)
    return exact_budget(gate)
