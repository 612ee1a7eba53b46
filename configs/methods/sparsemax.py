"""Sparsemax gates: the support of the projection onto the simplex.

Method: Martins and Astudillo, 2016, arXiv:1602.02068.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="sparsemax", temperature=1.0)
    return target_density(gate)
