"""Perturbed top-k, trained at random densities.

Method: Berthet et al., 2020, arXiv:2002.08676.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="perturbed_topk", density=1.0, sigma=0.5, num_samples=32)
    return exact_budget(gate)
