"""Differentiable top-k, trained at random densities: one model for any budget.

Method: logistic threshold masks (Amos, Koltun and Kolter, 2019, arXiv:1906.08707),
hard forward; other members of the threshold family by `--config.gate.family=laplace`.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="soft_topk", density=1.0, temperature=3.0, family="logistic")
    return exact_budget(gate)
