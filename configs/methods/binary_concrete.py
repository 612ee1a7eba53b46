"""Binary concrete gates, annealed, penalised towards a target density.

Method: Maddison, Mnih and Teh, 2016, arXiv:1611.00712.
"""

from ml_collections import ConfigDict

from configs.methods._forms import target_density


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="binary_concrete", temperature=1.0)
    return target_density(gate, temperature_schedule=dict(final=0.3, until=0.8))
