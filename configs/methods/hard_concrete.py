"""Hard concrete gates, penalised towards a target density.

Method: Louizos, Welling and Kingma, 2018, arXiv:1712.01312.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="hard_concrete", temperature=2 / 3, low=-0.1, high=1.1)
    return target_density(gate)
