"""SmoothStep gates, penalised towards a target density.

Method: Hazimeh et al., 2020, arXiv:2002.07772.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="smooth_step", width=8.0)
    return target_density(gate)
