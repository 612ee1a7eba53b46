"""Soft top-k rounded at random to exactly k units, trained at random densities.

Method: systematic sampling (Madow, 1949) of logistic threshold masks.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="systematic_topk", density=1.0, temperature=1.0, family="logistic")
    return exact_budget(gate)
