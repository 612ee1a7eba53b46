"""NeuralSort behind a hard forward pass, trained at random densities.

Method: Grover, Wang, Zweig and Ermon, 2019, arXiv:1903.08850.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="neural_sort", density=1.0, temperature=50.0)
    return exact_budget(gate)
