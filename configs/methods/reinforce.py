"""REINFORCE with a leave-one-out baseline, penalised towards a target density.

Method: Williams, 1992; Kool, van Hoof and Welling, 2019.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="reinforce", samples=2)
    return target_density(gate)
