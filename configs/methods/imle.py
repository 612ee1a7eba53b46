"""I-MLE, trained at random densities.

Method: Niepert, Minervini and Franceschi, 2021, arXiv:2106.01798.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="imle", density=1.0, step=1000.0)
    return exact_budget(gate)
