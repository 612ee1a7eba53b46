"""Relaxed subset sampling behind a hard forward pass, trained at random densities.

Method: Xie and Ermon, 2019, arXiv:1901.10517.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="relaxed_subset", density=1.0, temperature=1.0)
    return exact_budget(gate)
