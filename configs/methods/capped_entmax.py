"""Entmax with capped entries behind a hard forward pass, any budget.

Method: Peters, Niculae and Martins, 2019, arXiv:1905.05702.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="capped_entmax", density=1.0, temperature=3.0, alpha=1.5)
    return exact_budget(gate)
