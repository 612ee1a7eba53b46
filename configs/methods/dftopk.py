"""DFTopK behind a hard forward pass, trained at random densities.

Method: Zhu et al., 2025, arXiv:2510.11472.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="dftopk", density=1.0, temperature=3.0)
    return exact_budget(gate)
