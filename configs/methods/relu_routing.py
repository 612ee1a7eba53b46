"""ReLU routing, penalised towards a target density.

Method: ReMoE (Wang, Zhu and Chen, 2024, arXiv:2412.14711).
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="relu_routing")
    return target_density(gate)
