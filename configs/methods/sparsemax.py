"""Sparsemax gates: the support of the projection onto the simplex.

Its mask sums to a constant as far as gradients go, so that no penalty moves its
density: the temperature sets it.

Method: Martins and Astudillo, 2016, arXiv:1602.02068.
"""

from ml_collections import ConfigDict

from configs.methods._forms import own_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="sparsemax", temperature=1.0)
    return own_density(gate)
