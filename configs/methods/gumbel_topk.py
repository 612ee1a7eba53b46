"""Gumbel top-k with a soft backward pass, trained at random densities.

Method: Kool, van Hoof and Welling, 2019, arXiv:1903.06059.
"""

from ml_collections import ConfigDict

from configs.methods._forms import exact_budget


def get_config() -> ConfigDict:
    """Everything that this method adds to a task."""
    gate = dict(name="gumbel_topk", density=1.0, temperature=3.0)
    return exact_budget(gate)
