"""SoftSort behind a hard forward pass, trained at random densities.

Method: Prillo and Eisenschlos, 2020, arXiv:2006.16038.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="soft_sort", density=1.0, temperature=1.0)
    return exact_budget(gate)
