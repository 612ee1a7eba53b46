"""A learned threshold, penalised towards a target density.

Method: CGNet (Hua, Zhou, De Sa, Zhang and Suh, 2019, arXiv:1805.12549).
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="learned_threshold", temperature=0.5, threshold=0.0)
    return target_density(gate, gate_weight_decay=0.0)
