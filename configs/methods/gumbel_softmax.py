"""Gumbel-softmax: exactly one open unit.

Method: Jang, Gu and Poole, 2016, arXiv:1611.01144.
"""

from ml_collections import ConfigDict

from configs.methods._forms import own_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="gumbel_softmax", temperature=1.0)
    return own_density(gate)
