"""DisARM, penalised towards a target density. Models with one gated layer.

Method: Dong, Mnih and Tucker, 2020, arXiv:2006.10680.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="disarm")
    return target_density(gate)
