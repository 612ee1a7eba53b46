"""ReinMax gates, penalised towards a target density.

Method: Liu, Dong, Liu, Yu and Gao, 2023, arXiv:2304.08612.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="reinmax", temperature=1.0)
    return target_density(gate)
